"""Pages for people, made of the very data that programs get as JSON.

`render` gives the HTML of a template; the address decides which. Nothing is asked for from here: what a page shows is
handed in. Pages load nothing but what is in `static/`, as `HEADERS` has browsers enforce, and are whole without
JavaScript.
"""

from larder.pages.rendering import HEADERS, STATIC, TEMPLATES, Context, render

__all__ = ["HEADERS", "STATIC", "TEMPLATES", "Context", "render"]
