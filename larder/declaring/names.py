"""Names of services and workers, which become names of store folders. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from larder.declaring.problems import Problem

# A file name has at most 255 bytes and a topic name 249, and both contain more than this name.
_LEGAL: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def folder_problems(declared: str, name: str) -> Iterator[Problem]:
    """Check that a name can be the name of one folder, and cannot point elsewhere."""
    if not _LEGAL.fullmatch(name):
        yield Problem(
            declared,
            "a name requires 1 to 100 of the characters a-z A-Z 0-9 . _ -, the first of them no dot",
            f'"{name}" ({len(name)} characters)',
            "choose another name",
        )
