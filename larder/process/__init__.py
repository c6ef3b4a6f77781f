"""One worker process: it builds what a service needs from the settings, runs it, and ends in time."""
