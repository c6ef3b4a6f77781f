"""The shop as a running process: what happens in it, and its demo."""
