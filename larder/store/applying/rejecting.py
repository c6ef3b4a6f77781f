"""Explains to owners why a record is not a row of its table.

Called for bad records only, off the fast path. Does not know the store.
"""

import msgspec

from larder.store.row_schema import Shape

# Enough to recognise a key or a value in a log line, and never a megabyte.
_SHOWN = 80


def key_cause(key: bytes | None, row_key: object, shape: Shape) -> str:
    """Explain a message key that is not that of the row's key field."""
    if key is None:
        return f"a row requires a message key; found null; send {shape.key_field} as key"
    try:
        shape.key_type.decode(key)
    except (ValueError, TypeError):
        return f"the message key requires a {shape.key_type.name} key; found {_short(key)}; write it as declared"
    return (
        f"the message key requires the value of {shape.key_field}, "
        f"{_short(row_key)}; found {_short(key)}; send the row under its own key"
    )


def value_cause(value: bytes, error: Exception, shape: Shape) -> str:
    """Explain a value that is not a row of the declared type."""
    name = shape.row.__name__
    if isinstance(error, msgspec.ValidationError):
        return f"the value requires the fields of {name}; found: {error}"
    if isinstance(error, msgspec.DecodeError | RecursionError | UnicodeError):
        return f"the value requires JSON; found {_short(value)}: {error}"
    return f"the message key requires the {shape.key_field} of {name}; found: {error}"


def revision_cause(revision: object, shape: Shape) -> str:
    """Explain an invalid revision."""
    field = shape.revision_field
    if revision is None:
        return f"the row requires a revision in {field}; found none"
    return f"the revision in {field} requires an integer of 64 bits; found {_short(revision)}"


def _short(value: object) -> str:
    shown = repr(value[: _SHOWN + 1] if isinstance(value, bytes | str) else value)
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
