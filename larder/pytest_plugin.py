"""The fixture `larder_driver`, which pytest finds by an entry point. It loads nothing until a test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from larder.testing import Driver


@pytest.fixture
def larder_driver() -> Iterator[Callable[..., Driver]]:
    """Give what opens a `larder.testing.Driver`, with its arguments; a dead letter that was not read fails the test.

    >>> def test_shipping(larder_driver):
    ...     driver = larder_driver(shipping)
    """
    from larder.testing import Driver  # noqa: PLC0415 - most sessions of pytest have no use for it

    with ExitStack() as drivers:
        yield lambda *service, **options: drivers.enter_context(Driver(*service, **options))
