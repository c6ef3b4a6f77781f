"""Which headers a service carries along, and the bounds of their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from larder.declaring.service import Service

TRACEPARENT: Final = "traceparent"
"""The header that names the trace of a record (W3C Trace Context). Every service carries it along."""

MOST_CARRIED: Final = 4096
"""The most bytes that carried headers of one record have together: thousands of records with more would fill a unit."""

MOST_NAMES: Final = 16
"""The most names that a service declares: each record looks for all of them."""

LONGEST_NAME: Final = 64
"""In characters."""

OWN_PREFIX: Final = "larder."

# A token of HTTP (RFC 9110, section 5.6.2) in lower case, since HTTP ignores case and Kafka does not.
_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")

_TRACE: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers of HTTP that must not be written into topics, where others read them."""


def carried_names(service: Service) -> frozenset[str]:
    """Return the names of the headers that a service carries along."""
    return frozenset({TRACEPARENT, *service.headers})


def carried_by_request(headers: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the headers of a request that go along, those of `names`.

    One that is no text is ignored, and so is a trace that is none, as W3C Trace Context requires.
    """
    found = {name: headers[name] for name in sorted(names) if headers.get(name, "\n").isprintable()}
    if TRACEPARENT in found and not _TRACE.fullmatch(found[TRACEPARENT]):
        del found[TRACEPARENT]
    return found


def header_problems(service: Service) -> Iterator[Problem]:
    """Check the headers that a service declares."""
    declared = f"service {service.name}, headers"
    names: Any = service.headers
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_list or not all(isinstance(name, str) for name in names):
        yield Problem(declared, "requires a list of names", repr(names), 'write headers=["tenant"]')
        return
    if len(names) > MOST_NAMES:
        yield Problem(declared, f"requires at most {MOST_NAMES} names", str(len(names)), "carry fewer")
    if len(set(names)) < len(names):
        yield Problem(declared, "requires each name once", ", ".join(names), "remove the repeated ones")
    for name in names:
        yield from _name_problems(declared, name)


def _name_problems(declared: str, name: str) -> Iterator[Problem]:
    found = repr(name[: 2 * LONGEST_NAME])
    if name == TRACEPARENT:
        yield Problem(declared, "requires names that do not go along anyway", found, "remove it: every service has it")
    elif name.startswith(OWN_PREFIX):
        yield Problem(declared, f"requires names that do not begin with {OWN_PREFIX}", found, "choose another name")
    elif name in CREDENTIALS:
        requires = "requires names without credentials, which others would read in the topics"
        yield Problem(declared, requires, found, "carry what they stand for, such as a tenant")
    elif len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        requires = f"requires names of 1 to {LONGEST_NAME} lower-case letters, digits and -._ without spaces"
        yield Problem(declared, requires, found, "choose another name")
