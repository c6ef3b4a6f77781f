"""Templates and what they may use: the environment, the headers of pages, and the context beside the data.

In a template, an undefined name is an error, and all values are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from larder.pages import wording
from larder.pages.views import VIEWS

_HERE: Final = Path(__file__).parent

STATIC: Final = _HERE / "static"
"""The directory behind /static/."""

HEADERS: Final[Mapping[str, str]] = {
    # frame-ancestors and form-action do not fall back to default-src.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # a page shows what is wrong now, not a minute ago
}
"""The headers of every page. Even a value that was not escaped would not run."""

TEMPLATES: Final = frozenset(VIEWS)
"""The names that `render` takes."""


class Context(NamedTuple):
    """What a page knows beside its data.

    service, worker  the worker that answers.
    path             path and query of the request.
    at               the time, in seconds since 1970.
    tables           the tables that this worker can answer for: only their rows are linked.
    """

    service: str
    worker: str
    path: str
    at: float
    tables: Collection[str] = ()

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the request; of a repeated one, the last."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def following(self, cursor: str) -> str:
        """Return the query of the next page, with the parameters of this one."""
        asked = parse_qsl(urlsplit(self.path).query, keep_blank_values=True)
        # A form also sends empty fields; an index can have the empty value.
        kept = [(name, value) for name, value in asked if name != "cursor" and (value or name == "value")]
        return urlencode([*kept, ("cursor", cursor)], quote_via=quote)

    @property
    def again(self) -> str:
        """The request as a link. It begins with one slash: two, or a backslash, would mean another host."""
        return "/" + self.path.lstrip("/\\")

    @property
    def page(self) -> str:
        """The path without its query."""
        return urlsplit(self.path).path

    @property
    def above(self) -> list[tuple[str, str]]:
        """The parents of this page, by address and name, for a reader who finds nothing here."""
        parts = [unquote(part) for part in self.page.split("/")[1:]]
        if parts[:1] == ["dead-letters"]:
            return [("/dead-letters", "Dead letters")]
        if parts[:1] != ["tables"]:
            return [("/", "Overview")]
        named = [(wording.table_address(table), table) for table in parts[1:2] if table in self.tables and parts[2:]]
        return [("/tables", "Tables"), *named]


def render(template: str, data: Mapping[str, Any], context: Context) -> str:
    """Return the HTML of a page; `template` is one of `TEMPLATES`, `data` is the JSON answer of the same address."""
    text = msgspec.json.encode(data)
    plain = _as_json_has_it(data, text)
    view = VIEWS[template](plain, text)
    return _environment.get_template(f"{template}.html").render(data=plain, context=context, **view)


def _as_json_has_it(data: Any, text: bytes) -> Any:
    """Return JSON as plain values, or its text if it is nested too deeply to decode here."""
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        if isinstance(data, Mapping):
            return {str(name): _as_json_has_it(each, msgspec.json.encode(each)) for name, each in data.items()}
        if isinstance(data, list | tuple):
            return [_as_json_has_it(each, msgspec.json.encode(each)) for each in data]
        return text.decode()


def _made_environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: list[Callable[..., Any]] = [
        wording.number,
        wording.duration,
        wording.size,
        wording.moment,
        wording.several,
        wording.listed,
        wording.word,
    ]
    made.filters.update({each.__name__: each for each in filters})
    made.globals.update(
        share=wording.share,
        nothing=wording.NOTHING,
        row_address=wording.row_address,
        table_address=wording.table_address,
        letter_address=wording.letter_address,
        call_address=wording.call_address,
        web_address=wording.web_address,
    )
    return made


_environment: Final = _made_environment()
