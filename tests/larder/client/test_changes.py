"""Changes of a table as a worker sends them: read, shown, and gone on with behind the last one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from larder.client.changes import Watch
from larder.client.local_workers import LocalWorker
from larder.config.errors import UnavailableError
from tests.support.web import Answer, problem, web
from tests.support.workers import ROOT


def sent(number: int, key: str = "k") -> str:
    change = json.dumps({"key": key, "row": {"n": number}, "partition": 0, "offset": number, "revision": None})
    return f": a comment\nid: 0-{number}\nevent: row\ndata: {change}\n\n"


def test_watching_resumes_after_the_last_change_with_any_worker() -> None:
    said: list[str] = []
    first = iter([Answer(200, sent(1) + sent(2) + "id: 0-3\ndata: half of an"), problem("not-here", 503)])
    second = iter([Answer(200, sent(3))])
    with web(lambda _: next(first)) as one, web(lambda _: next(second)) as two:
        workers = [LocalWorker("s", "one", 0, one.address), LocalWorker("s", "two", 0, two.address)]
        events = Watch("t", "/tables/t/changes", said.append).events(lambda: workers)
        assert [next(events).id for _ in range(3)] == ["0-1", "0-2", "0-3"]
        events.close()
        assert [each.headers.get("Last-Event-ID") for each in one.asked] == [None, "0-2"]
        assert [each.headers.get("Last-Event-ID") for each in two.asked] == ["0-2"]
    assert said == ["one sends no more changes: resuming after the last one"]


@pytest.mark.parametrize("body", [["no", "object"], "[" * 100_000])
def test_an_invalid_answer_of_a_worker_counts_as_none(body: object) -> None:
    with web(lambda _: Answer(404, body)) as other:
        events = Watch("shop.customers", "/", print).events(lambda: [LocalWorker("s", "w", 0, other.address)])
        with pytest.raises(UnavailableError):
            next(events)


def test_no_worker_to_watch_at_the_start_is_reported_at_once() -> None:
    with web(lambda _: problem("no-such-table", 404)) as other:
        worker = LocalWorker("s", "one", 0, other.address)
        with pytest.raises(UnavailableError, match="its changes: requires a worker that knows"):
            next(Watch("shop.customers", "/", print).events(lambda: [worker]))


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ((), ['k  {"n":1}', "k  -"]),
        (
            ("--json",),
            [
                '{"key":"k","row":{"n":1},"partition":0,"offset":1,"revision":null}',
                '{"reset":true}',
                '{"key":"k","row":null,"partition":0,"offset":2,"revision":null}',
            ],
        ),
    ],
)
def test_changes_are_lines_until_ctrl_c_which_is_not_a_failure(
    tmp_path: Path, arguments: tuple[str, ...], lines: list[str]
) -> None:
    text = sent(1) + "event: reset\ndata: {}\n\n" + sent(2).replace('{"n": 2}', "null")
    answers = iter([Answer(200, text)])
    with web(lambda _: next(answers, problem("recovering", 503))) as worker:
        command = [sys.executable, "-m", "larder", "watch", "t", "--prefix", "k", "--at", worker.address, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            assert [process.stdout.readline().rstrip("\n") for _ in lines] == lines
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
        assert worker.asked[0].path == "/tables/t/changes?prefix=k"
    assert process.returncode == 0, said
    assert "some changes were missed and are no longer available" in said
    assert "Traceback" not in said
