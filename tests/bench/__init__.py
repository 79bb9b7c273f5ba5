"""Measurements against other tools, on the same bytes in the same run, as ratios."""
