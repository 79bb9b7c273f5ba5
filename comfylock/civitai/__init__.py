"""Civitai's public API: what it is asked, what its answers mean, and how long they are kept."""
