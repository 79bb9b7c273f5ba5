"""Hugging Face as a catalogue: which bytes a file of a repository has, without downloading it."""
