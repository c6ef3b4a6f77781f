"""Row types: what a value of a topic is made of.

A row is a frozen struct that is written as one JSON object. This module knows the
fields of a row type and may not know topics, keys or services.
"""

from typing import Any, dataclass_transform

import msgspec


class RowType(msgspec.StructMeta):
    """The type of row types: all are frozen and take their fields by name.

    msgspec does not hand `kw_only` down to subclasses; a row type should be able to
    grow an optional field anywhere.
    """

    def __new__(
        cls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        **options: Any,
    ) -> "RowType":
        """Make a frozen struct whose fields are given by name."""
        options = {"frozen": True, "kw_only": True, **options}
        return super().__new__(cls, name, bases, namespace, **options)


# On the class as well as msgspec's own: type checkers take the nearest.
@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(msgspec.field,),
)
class Row(msgspec.Struct, metaclass=RowType, frozen=True, kw_only=True):
    """One row of a table, or one event: a JSON object with typed fields.

    Subclass it and annotate the fields. Fields that the JSON has and the type has
    not are ignored when it is decoded (and kept in the raw bytes), so that an owner
    can add fields without its readers changing. A field without a default must be
    there. Rows are frozen and made by name:

    >>> class Customer(Row):
    ...     customer_id: str
    ...     name: str
    ...     nickname: str | None = None
    >>> Customer(customer_id="c1", name="Ada")
    Customer(customer_id='c1', name='Ada', nickname=None)
    """
