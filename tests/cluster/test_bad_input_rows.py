"""Bad rows in the topics of tables: each is kept with its cause, and every other row is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.stages import KINDS, Stage, customer, order, table
from tests.support.beside import Beside
from tests.support.topics import Sent
from tests.support.workers import running

BAD = [
    (Sent("c1", b"{"), "the value requires JSON"),
    (Sent("c1", b""), "the value requires JSON"),
    (Sent("c1", b'{"customer_id":"\xff","revision":9}'), "the value requires JSON"),
    (Sent("c1", b"[" * 50_000), "the value requires"),
    (Sent("c1", {"customer_id": 1, "revision": 9}), "Expected `str`, got `int`"),
    (Sent("c1", {"customer_id": "c1"}), "missing required field `revision`"),
    (Sent("c1", {"customer_id": "c1", "revision": None}), "Expected `int`, got `null`"),
    (Sent("c1", {"customer_id": "c1", "revision": 2**63}), "an integer of 64 bits"),
    (Sent("c1", {"customer_id": "c2", "revision": 9}), "the message key requires the value of customer_id"),
    (Sent(None, customer("c1", 9)[1]), "requires a message key; found null"),
    (Sent(b"\xff\xfe", customer("c1", 9)[1]), "requires a text key"),
    (Sent(b"\xff\xfe", None), "requires a text key"),
    (Sent("c1", None, headers=[("larder.revision", b"nine")]), "requires an integer of 64 bits"),
]
"""Invalid rows, which must not end or mislead a worker, and words of their causes."""


@pytest.fixture
def stage(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Iterator[Stage]:
    return Stage(kafka, prefix, beside, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_rows_are_kept_with_their_cause_and_all_others_are_stored(stage: Stage, kind: str) -> None:
    bad = [record for record, _ in BAD]
    stage.without_compaction("customers", [customer("c1", name="before"), *bad, customer("c2", name="after")])
    stage.send("orders", [order("o1", "c1"), order("o2", "c2")])
    worker = stage.worker(KINDS[kind])
    with running(worker):
        worker.until_caught_up()
        rows = {key: row["customer"] for key, row in stage.until_joined(["o1", "o2"]).items()}
        assert (rows["o1"]["name"], rows["o2"]["name"]) == ("before", "after")
        held = table(worker.until_caught_up(), "customers")
        assert held["counts"]["rejected"] == held["parked"] == len(BAD)
        assert held["rows"] == 2
        assert re.search(
            r"table \S+\.customers: the record at offset 1 of partition 0 cannot be used.*requires JSON", worker.text
        )
        assert worker.stop() == 0
        letters = stage.letters()
        if kind == "global":
            # Every worker reads them, so they would come once for each worker.
            assert letters == []
        else:
            assert [(each.topic, each.partition, each.offset) for each in letters] == [
                (stage.name("customers"), 0, offset) for offset in range(1, len(BAD) + 1)
            ]
            for letter, (record, cause) in zip(letters, BAD, strict=True):
                assert cause in letter.cause
                assert (letter.record.value is None) == (record.value is None)

        stage.send("customers", [customer("c1", 2, name="later")])
        again = table(worker.start().until_caught_up(), "customers")
        assert (again["counts"]["rejected"], again["parked"]) == (0, len(BAD))
        assert worker.row(stage.name("customers"), "c1")[1]["row"]["name"] == "later"
        assert worker.stop() == 0
        assert len(stage.letters()) == len(letters)
