"""What can be wrong with topics, settings and workers that run: facts and samples in, findings out.

Each audit is a module of its own and pure; `gathering` and `sampling` alone talk to the broker and to workers.
"""
