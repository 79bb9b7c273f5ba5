"""Results as text for people and as JSON for programs, a file for each command; pure."""
