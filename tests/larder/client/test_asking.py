"""Questions to workers: how they are asked, and what becomes of the answers."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from larder.cli.main import larder
from larder.queries.paths import KEYS, KEYS_LENGTH, changes_path, rows_path, some_keys
from tests.support.web import Answer, Request, problem, web


def run(*arguments: str) -> Result:
    return CliRunner().invoke(larder, arguments)


def row(key: str, **fields: Any) -> dict[str, Any]:
    return {"key": key, "row": {"id": key, **fields}, "partition": 0, "offset": 1, "timestamp": 2, "revision": 3}


def _given(request: Request) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))


def _texts(request: Request, name: str) -> list[str]:
    return [value for each, value in parse_qsl(urlsplit(request.path).query) if each == name]


def test_paths_carry_any_text() -> None:
    assert rows_path("a/b", [("key", "ü&=/ +"), ("key", "..")]) == "/tables/a%2Fb/rows?key=%C3%BC%26%3D%2F+%2B&key=.."
    assert changes_path("t", None) == "/tables/t/changes"
    assert changes_path("t", "a b") == "/tables/t/changes?prefix=a+b"


@given(st.lists(st.text(max_size=600), max_size=80))
def test_many_keys_are_split_into_requests_that_fit_into_an_address(keys: list[str]) -> None:
    questions = list(some_keys(keys))
    assert [key for some in questions for key in some] == keys
    for some in questions:
        assert len(some) <= KEYS
        assert len(some) == 1 or len(rows_path("", [("key", key) for key in some])) <= KEYS_LENGTH + 20


def test_many_rows_come_in_the_order_of_their_keys_and_a_missing_one_ends_with_1() -> None:
    def answers(request: Request) -> Answer:
        found = [row(key) if key != "gone" else {"key": key, "row": None} for key in _texts(request, "key")]
        return Answer(200, {"table": "t", "rows": found, "next": None})

    with web(answers) as worker:
        there = run("many", "t", "b", "a", "--at", worker.address)
        assert there.exit_code == 0
        assert [line.split() for line in there.stdout.splitlines()] == [
            ["key", "partition", "revision", "row"], ["b", "0", "3", '{"id":"b"}'], ["a", "0", "3", '{"id":"a"}'],
        ]  # fmt: skip
        told = run("many", "t", "b", "gone", "--at", worker.address, "--json")
    assert told.exit_code == 1
    assert [each["row"] for each in json.loads(told.stdout)["rows"]] == [{"id": "b"}, None]


def test_many_and_scan_report_keys_whose_newest_record_was_rejected() -> None:
    rejected = {"at": "t/0/9", "partition": 0, "offset": 9, "cause": "no JSON"}
    found = [{**row("a"), "rejected": rejected}, {"key": "b", "row": None, "rejected": rejected}]
    body = {"table": "t", "rows": found, "next": None, "partitions": [{"unreadable": 1}, {"unreadable": 1}]}
    with web(lambda _: Answer(200, body)) as worker:
        ended = run("many", "t", "a", "b", "--at", worker.address)
        scanned = run("scan", "t", "--at", worker.address)
        told = run("scan", "t", "--at", worker.address, "--json")
    older = "larder: key a: this row is older than the rejected record t/0/9: no JSON\n"
    assert (ended.exit_code, ended.stderr) == (3, older)
    assert ended.stdout.splitlines()[2].split(maxsplit=3) == ["b", "-", "-", "rejected: t/0/9: no JSON"]
    assert (scanned.exit_code, scanned.stdout) == (0, ended.stdout)
    assert scanned.stderr.startswith(f"{older}larder: the newest record of 2 keys of the table was rejected")
    assert json.loads(told.stdout)["unreadable"] == 2


def test_a_scan_follows_cursors_up_to_its_limit_and_prints_the_next() -> None:
    keys = [f"k{number:04}" for number in range(2_600)]

    def answers(request: Request) -> Answer:
        given = _given(request)
        first, limit = int(given.get("cursor", "0")), int(given["limit"])
        found = [row(key) for key in keys[first : first + limit]]
        following = str(first + limit) if first + limit < len(keys) else None
        return Answer(200, {"table": "t", "rows": found, "next": following})

    with web(answers) as worker:
        told = run("scan", "t", "--prefix", "k", "--from", "", "--limit", "2500", "--at", worker.address, "--json")
        assert [_given(each)["limit"] for each in worker.asked] == ["1000", "1000", "500"]
        assert all((_given(each)["prefix"], _given(each)["from"]) == ("k", "") for each in worker.asked)
        found = json.loads(told.stdout)
        assert ([each["key"] for each in found["rows"]], found["next"]) == (keys[:2500], "2500")
        rest = run("scan", "t", "--cursor", "2500", "--at", worker.address)
        assert (len(rest.stdout.splitlines()), rest.stderr) == (101, "")
        some = run("scan", "t", "--limit", "1", "--at", worker.address)
        assert some.stderr == "larder: there are more: --cursor 1\n"


def test_by_queries_a_value_of_an_index() -> None:
    with web(lambda _: Answer(200, {"table": "t", "rows": [], "next": None})) as worker:
        ended = run("by", "t", "city", "New York", "--at", worker.address)
        assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "larder: no rows\n")
        assert worker.asked[0].path == "/tables/t/rows?index=city&value=New+York&limit=100"
        assert worker.asked[0].headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "exit_code", "said"),
    [
        (problem("no-such-key", 404), 1, "larder: table t, key k: no such key"),
        (problem("mistake", 400), 2, "larder: table t, key k: requires something; found nothing; give it"),
        (problem("no-such-table", 404), 2, "larder: table t, key k: requires something; found nothing; give it"),
        (problem("recovering", 503, found="partition 3 recovering"), 3, "partition 3 recovering"),
        (problem("unreadable-row", 404, found="a record that was rejected"), 3, "a record that was rejected"),
        (problem("unserved", 503), 3, "requires a worker that knows the answer"),
        (problem("too-busy", 429), 3, "try again"),
        (problem("defect", 500), 3, "requires a worker that knows the answer"),
        (Answer(200, "<html>"), 3, "no answer"),
        (Answer(200, [1]), 3, "no answer"),
        (Answer(404, {"detail": "?"}), 3, "status 404"),
    ],
)
def test_four_kinds_of_answers_have_four_exit_codes(answer: Answer, exit_code: int, said: str) -> None:
    with web(lambda _: answer) as worker:
        ended = run("get", "t", "k", "--at", worker.address)
    assert (ended.exit_code, ended.stdout) == (exit_code, "")
    assert said in ended.stderr


def test_a_row_cannot_control_a_terminal_and_keeps_its_numbers() -> None:
    wild = row("\x1b[2J", big=123456789012345678901234567890, text="\u202e\n")
    with web(lambda _: Answer(200, {"table": "t", "rows": [wild], "next": None})) as worker:
        shown = run("scan", "t", "--at", worker.address)
        assert all(each.isprintable() for each in shown.stdout.replace("\n", ""))
        assert len(shown.stdout.splitlines()) == 2
        told = run("scan", "t", "--at", worker.address, "--json")
    alone = {**row("k", text="\x9b2J"), "table": "t", "state": "caught up", "freshness_s": None}
    with web(lambda _: Answer(200, alone)) as worker:
        assert '"text": "\\x9b2J"' in run("get", "t", "k", "--at", worker.address).stdout
    assert json.loads(told.stdout)["rows"][0]["row"]["big"] == 123456789012345678901234567890


QUALITY = {
    "joins": [
        {
            "join": "orders into shipped",
            "into": "shop.shipped",
            "partitions": [
                {
                    "partition": 2, "hits": 1_200, "missing": 3, "waited": 0, "released": 0, "expired": 0, "parked": 3,
                    "passed_on": 0, "dropped": 0,
                    "samples": {
                        "missing": [
                            {"id": "shop.orders/2/7", "key": "o1", "reference": "c9", "table": "shop.customers"},
                        ],
                        "parked": [{"id": "shop.orders/2/8", "key": "o2", "table": None, "cause": "no\x1bJSON"}],
                    },
                }
            ],
        }
    ]
}  # fmt: skip


def test_joins_are_shown_by_partition_with_the_records_that_lacked_a_partner() -> None:
    with web(lambda _: Answer(200, QUALITY)) as worker:
        lines = run("joins", "--at", worker.address).stdout.splitlines()
        assert lines[1].split() == ["shop.shipped", worker.address, "2", "1,200", "3", "0", "0", "0", "3", "0", "0"]
        assert lines[2:] == [
            "missing: o1 at shop.orders/2/7 lacks 'c9' of shop.customers (into shop.shipped)",
            "parked: o2 at shop.orders/2/8: no\\x1bJSON (into shop.shipped)",
        ]
        told = json.loads(run("joins", "--at", worker.address, "--json").stdout)
        assert told["joins"][0]["partitions"] == QUALITY["joins"][0]["partitions"]


def test_the_newest_five_records_without_a_partner_are_listed_or_as_many_as_wanted() -> None:
    missing = [{"id": f"shop.orders/2/{at}", "at": float(at), "key": f"o{at}", "table": None} for at in range(8)]
    partition = {**QUALITY["joins"][0]["partitions"][0], "samples": {"missing": missing}}
    with web(lambda _: Answer(200, {"joins": [{**QUALITY["joins"][0], "partitions": [partition]}]})) as worker:
        lines = run("joins", "--at", worker.address).stdout.splitlines()[2:]
        none = run("joins", "--at", worker.address, "--samples", "0").stdout.splitlines()[2:]
        every = run("joins", "--at", worker.address, "--samples", "8").stdout.splitlines()[2:]
    assert [line.split()[1] for line in lines[:-1]] == ["o7", "o6", "o5", "o4", "o3"]
    assert lines[-1] == "3 more: --samples 8 lists all"
    assert (none, len(every)) == (["8 more: --samples 8 lists all"], 8)


DECIDING = {
    "service": "stock", "worker": "stock-7", "phase": "running", "processed": 5, "inputs": [], "tables": [],
    "joins": [],
    "decides": [
        {"name": "shop.levels", "inputs": ["shop.orders"], "folds": False,
         "counts": {"decided": 5_743, "rows": 2, "emitted": 3, "refused": 1_200, "woken": 0, "parked": 4}},
        {"name": "shop.sums", "inputs": ["shop.orders"], "folds": True,
         "counts": {"decided": 7, "rows": 6, "emitted": 0, "refused": 0, "woken": 0, "parked": 1}},
    ],
    "reactions": [{"table": "shop.customers", "counts": {"changes": 9, "emitted": 8, "parked": 0}}],
}  # fmt: skip


def test_decides_folds_and_reactions_have_tables_of_their_own_if_there_are_any() -> None:
    with web(lambda _: Answer(200, DECIDING)) as worker:
        lines = run("joins", "stock", "--at", worker.address).stdout.splitlines()
        told = json.loads(run("joins", "--at", worker.address, "--json").stdout)
    assert [line.split() for line in lines] == [
        ["decide", "worker", "decided", "rows", "emitted", "refused", "woken", "parked"],
        ["shop.levels", worker.address, "5,743", "2", "3", "1,200", "0", "4"],
        ["fold", "worker", "decided", "rows", "parked"],
        ["shop.sums", worker.address, "7", "6", "1"],
        ["reacts", "to", "worker", "changes", "emitted", "parked"],
        ["shop.customers", worker.address, "9", "8", "0"],
    ]
    assert (told["joins"], [each["name"] for each in told["folds"]]) == ([], ["shop.sums"])
    assert told["decides"][0]["counts"]["refused"] == 1_200
    assert told["reactions"][0]["service"] == "stock"


def test_joins_of_a_service_at_the_address_of_another_are_a_mistake() -> None:
    with web(lambda _: Answer(200, DECIDING)) as worker:
        ended = run("joins", "shipping", "--at", worker.address)
        alone = json.loads(run("joins", "stock", "--at", worker.address, "--json").stdout)
    assert (ended.exit_code, ended.stdout, alone["silent"]) == (2, "", [])
    assert "requires a worker of shipping; found one of stock; leave SERVICE out, or name stock" in ended.stderr


SAID = {"service": "shipping", "worker": "shipping-7", "phase": "running", "processed": 5,
        "inputs": [{"lag": 3}], "tables": [], "joins": []}  # fmt: skip


def test_services_are_those_of_the_worker_at_an_address() -> None:
    with web(lambda _: Answer(200, SAID)) as worker:
        shown = run("services", "--at", worker.address)
        told = json.loads(run("services", "--at", worker.address, "--json").stdout)
    assert f"  worker shipping-7: running, lag 3 ({worker.address})" in shown.stdout.splitlines()
    (found,) = [each for service in told["services"] for each in service["workers"]]
    assert (found["worker"], found["pid"], found["web"]) == ("shipping-7", None, worker.address)
    assert told["others"] == []


def test_a_service_of_only_reactions_shows_the_lag_of_its_tables_and_counts_what_by_left_out() -> None:
    table = {
        "table": "shop.customers",
        "partitions": [{"phase": "caught_up", "lag": 2}, {"phase": "caught_up", "lag": 5}],
    }
    left_out = [{"name": "shipping.shop.orders.by.depot", "dropped": 1_200}]
    with web(lambda _: Answer(200, {**SAID, "inputs": [], "tables": [table], "rekeyings": left_out})) as worker:
        shown = run("services", "--at", worker.address).stdout.splitlines()
    assert f"  worker shipping-7: running, lag 7 ({worker.address})" in shown
    assert "  left out of shipping.shop.orders.by.depot: 1,200 records with null in its field" in shown


@pytest.mark.parametrize(
    ("answer", "service", "said"),
    [
        (Answer(200, {**SAID, "service": "x"}), "x", "shipping-7 belongs to x, which is not declared here"),
        (Answer(500, {}), None, "{0} does not answer"),
    ],
)
def test_a_worker_of_an_undeclared_service_at_an_address_is_reported(
    answer: Answer, service: str | None, said: str
) -> None:
    with web(lambda _: answer) as worker:
        shown = run("services", "--at", worker.address)
        (other,) = json.loads(run("services", "--at", worker.address, "--json").stdout)["others"]
    assert (other["service"], other["web"]) == (service, worker.address)
    assert shown.stdout.splitlines()[-1] == said.format(worker.address)
