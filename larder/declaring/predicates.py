"""Predicates over the rows of a table: clients wait over HTTP until a row satisfies one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from larder.declaring.sources import TableUse

Function = TypeVar("Function", bound=Callable[..., bool])


@dataclass(eq=False)
class Predicate:
    """A pure function of a row of `table`, by the function's name. Once it is true of a row, it has to stay true."""

    table: TableUse
    function: Callable[[Any], bool] | None = None

    def __call__(self, function: Function) -> Function:
        """Set the function, as a decorator."""
        self.function = function
        return function

    @property
    def name(self) -> str:
        """The name by which clients ask for it."""
        return getattr(self.function, "__name__", "")
