"""This worker's place in its group: Faust as the harness, the assignment, where to start."""
