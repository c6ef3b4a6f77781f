"""Audits of topics, settings and running workers: facts and samples in, findings out.

Each audit is a pure module of its own. Only `gathering` and `sampling` talk to the broker and to workers.
"""
