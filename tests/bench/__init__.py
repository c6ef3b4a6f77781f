"""How fast it is, side by side with others, in one run on one broker: `python -m tests.bench`, `make bench`."""
