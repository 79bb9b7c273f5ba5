"""comfylock: lock and install the models of ComfyUI workflows, by hash."""

__version__ = "0.1.0"
