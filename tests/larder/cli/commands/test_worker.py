"""`larder worker`: what it refuses, before it starts and in requests."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import pytest

from tests.cluster.stocks import STOCK
from tests.support.workers import Worker, larder, running

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize("name", ["../../../esc", "a/b", ".hidden", "", "x" * 101, "a b"])
def test_a_name_that_is_not_a_folder_name_is_a_mistake(tmp_path: Path, name: str) -> None:
    ended = larder("worker", "shipping", "--name", name, kafka=NOBODY, directory=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == (
        "larder: option --name: a name requires 1 to 100 of the characters a-z A-Z 0-9 . _ -, "
        "the first of them no dot; "
        f'found "{name}" ({len(name)} characters); choose another name\n'
    )
    assert list(tmp_path.iterdir()) == []


def test_a_deciding_service_is_refused_without_exactly_once(tmp_path: Path) -> None:
    module = STOCK.format(prefix="shop")
    ended = larder("worker", "shop", kafka=NOBODY, directory=tmp_path, module=module, guarantee="at_least_once")
    assert ended.returncode == 2
    assert ended.stderr == (
        "larder: service shop: a table of its own (decide, fold, call, rekeyed rows) requires guarantee = "
        '"exactly_once": an event that is read twice would be decided on twice; found "at_least_once"; remove the '
        "setting, or move what needs it to another service\n"
    )


@pytest.mark.parametrize(("settings", "status"), [({}, 421), ({"LARDER_WEB_ADDRESS": "worker-1"}, 200)])
def test_other_host_names_are_refused_unless_the_web_address_is_set(
    tmp_path: Path, settings: dict[str, str], status: int
) -> None:
    worker = Worker(NOBODY, tmp_path, STOCK.format(prefix="shop"), "shop", environment=settings)
    with running(worker):
        port = int(worker.until_logged(r"answers at http://127\.0\.0\.1:\d+").rpartition(":")[2])
        for host, expected in ((f"127.0.0.1:{port}", 200), ("evil.example", status)):
            asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            asking.request("GET", "/services", headers={"Host": host})
            assert asking.getresponse().status == expected
            asking.close()
