"""comfy.lock: its values, its text, its changes and its merges."""
