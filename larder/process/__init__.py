"""One worker process: what a service needs, built from the settings, run, and ended in time."""
