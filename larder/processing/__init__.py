"""The one loop that runs every lane of a worker."""
