"""A worker answers reads by services of its own context, and of clients that name none. Real HTTP."""

from __future__ import annotations

import json

import pytest

from larder.local_tables.table import LocalTable
from larder.web.context_check import CONTEXT
from tests.larder.store.samples import customers, row
from tests.larder.web.test_fast_path import exchange
from tests.support.serving import serving

PATH = f"/tables/{customers.name}/rows/ada"


@pytest.mark.parametrize(
    ("asked", "context", "status"),
    [(None, "sales", 200), ("sales", "sales", 200), ("money", "sales", 403), ("money", None, 403), ("", "sales", 403)],
)
async def test_a_service_of_another_context_is_refused(
    held: LocalTable, asked: str | None, context: str | None, status: int
) -> None:
    held.stored.apply(0, [row(0, "ada", 1)])
    async with serving(held, context=context) as served:
        served.catch_up(0, 1)
        header = "" if asked is None else f"{CONTEXT}: {asked}\r\n"
        ((found, _, body),) = await exchange(served, f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n")
        assert found.split()[1] == str(status)
        assert json.loads(body).get("type") == (None if status == 200 else "urn:larder:other-context")
