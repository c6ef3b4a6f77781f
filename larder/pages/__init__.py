"""Pages for people, made from the data that programs get as JSON.

`render` returns the HTML of a template, which the address determines. This package requests nothing: it gets all data
that a page shows. Pages load only files of `static/`, which `HEADERS` makes browsers enforce. They work without
JavaScript.
"""

from larder.pages.rendering import HEADERS, STATIC, TEMPLATES, Context, render

__all__ = ["HEADERS", "STATIC", "TEMPLATES", "Context", "render"]
