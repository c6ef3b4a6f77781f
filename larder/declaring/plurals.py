"""Counts in sentences: 1 record, 2 records. Pure; used by messages, commands and pages."""


def plural(count: int, one: str, many: str = "") -> str:
    """Return the form of a word for a count; `many` is for words whose plural does not just add an s.

    >>> plural(1, "is", "are")
    'is'
    """
    return one if count == 1 else many or f"{one}s"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun.

    >>> counted(1, "record"), counted(2_000, "record")
    ('1 record', '2,000 records')
    """
    return f"{count:,} {plural(count, one, many)}"
