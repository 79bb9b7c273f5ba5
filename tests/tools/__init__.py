"""Programs for who works on comfylock; none of them is part of the package."""
