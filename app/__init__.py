"""The shop as a running process: the events in it, and its demo."""
