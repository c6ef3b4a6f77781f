"""The headers of records that a service writes for itself and its followers. Numbers are decimal digits.

The header with the revision of a deletion is `REVISION_HEADER` of the tables.
"""

from typing import Final

GENERATION_HEADER: Final = "larder.generation"
"""The generation of the group in which a row was written."""

BASED_ON_HEADER: Final = "larder.based-on"
"""The revision that a row, or its deletion, replaces; the first row has none."""

AFTER_HEADER: Final = "larder.after"
"""On a record without a value: the revision of the row that it deletes or moves."""

WAS_HEADER: Final = "larder.was"
"""On a record without a value: the key by which the row was partitioned."""

WAITED_HEADER: Final = "larder.waited"
"""On a record that waited when its service was scaled: the time at which its wait ends, and the step it waited in."""

MADE_HEADER: Final = "larder.made"
"""On a record with a trace: when it was made, in milliseconds since the epoch, and by which worker."""

MOVED_HEADER: Final = "larder.moved"
"""On a record without a value: the row has moved to another partition."""
