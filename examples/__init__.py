"""Example workflows, and a demo that locks and installs them."""
