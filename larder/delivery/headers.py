"""The headers of records that a service writes for itself and its followers; numbers are decimal digits.

That of a deletion's revision is `REVISION_HEADER` of the tables.
"""

from typing import Final

GENERATION_HEADER: Final = "larder.generation"
"""The generation of the group in which a row was written."""

BASED_ON_HEADER: Final = "larder.based-on"
"""The revision that a row, or its deletion, replaces; a first one has none."""

AFTER_HEADER: Final = "larder.after"
"""On a record without a value: the revision of the row that it is about."""

MOVED_HEADER: Final = "larder.moved"
"""On a record without a value: the row lies in another partition now."""
