"""Row types: the values of topics.

A row is a frozen struct, written as one JSON object. Does not know topics, keys or services.
"""

from typing import Any, dataclass_transform

import msgspec


class RowType(msgspec.StructMeta):
    """The metaclass of row types: all of them are frozen, and take their fields by name.

    msgspec does not pass `kw_only` on to subclasses, and a row type may get a new optional field anywhere.
    """

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        **options: Any,
    ) -> "RowType":
        """Create a frozen struct that takes its fields by name."""
        options = {"frozen": True, "kw_only": True, **options}
        return super().__new__(cls, name, bases, namespace, **options)


# msgspec has this decorator too, but type checkers use the nearest one.
@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(msgspec.field,),
)
class Row(msgspec.Struct, metaclass=RowType, frozen=True, kw_only=True):
    """One row of a table, or one event: a JSON object with typed fields.

    Subclass it and annotate the fields. Larder ignores fields of the JSON that the type
    does not have, and keeps them in the raw bytes. So an owner can add fields without a
    change in its readers. A field without a default is required. Rows are frozen, and
    take their fields by name:

    >>> class Customer(Row):
    ...     customer_id: str
    ...     name: str
    ...     nickname: str | None = None
    >>> Customer(customer_id="c1", name="Ada")
    Customer(customer_id='c1', name='Ada', nickname=None)
    """
