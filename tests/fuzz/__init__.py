"""Hostile input: what is fed to the parsers, and by whom."""
