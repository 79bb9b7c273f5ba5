"""ComfyUI workflow files: which there are, and what their nodes hold when they run."""
