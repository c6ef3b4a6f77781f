"""A worker's web port: its rows, and those of the other workers of its service; what it does, and whether it lives.

One module for each group of addresses, each with its description as data beside it (OpenAPI). They turn decisions that
are made elsewhere (`larder.queries`) into answers, and keep nothing. Whoever is not sure never says 404.
"""

from larder.web.application import make_app, start_web, stop_web
from larder.web.sources import Sources

__all__ = ["Sources", "make_app", "start_web", "stop_web"]
