"""Tests of comfylock, and the servers that they talk to."""
