"""One worker from its start to its stop."""
