"""A lock in the words of other tools: one pure builder for each format."""
