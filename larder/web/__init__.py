"""A worker's web port: rows of its whole service, what the worker does, and whether it is healthy.

One module for each group of addresses, with its OpenAPI description as data beside it. The modules turn decisions of
`larder.queries` into answers and keep nothing. A worker that is not sure never answers 404.
"""

from larder.web.application import make_app, start_web, stop_web
from larder.web.peers.remote_rows import RemoteRows
from larder.web.sources import Sources

__all__ = ["RemoteRows", "Sources", "make_app", "start_web", "stop_web"]
