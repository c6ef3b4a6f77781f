"""Every page from sample data: what stands there, and that neither data nor anything from outside breaks out of it."""

from __future__ import annotations

import copy
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from jinja2 import UndefinedError

from larder.pages import HEADERS, STATIC, TEMPLATES, render
from tests.larder.pages.samples import (
    JOINS,
    LETTER,
    LETTERS,
    PAGES,
    RECOVERING,
    ROW,
    ROWS,
    TABLE,
    TABLE_LIST,
    WELL,
    context,
    growth,
    member,
    scaled,
    services,
)

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 1234 * 5 }}"
_VOID = frozenset({"meta", "link", "input", "br", "img", "path", "rect"})


class Reading(HTMLParser):
    """Tags with their attributes, and the text; complains of tags that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == [], f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> in the wrong place"

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]


def page(name: str) -> Reading:
    asked, template, data = PAGES[name]
    return Reading(render(template, data, context(asked)))


def shown(template: str, data: dict[str, Any], path: str = "/") -> Reading:
    return Reading(render(template, data, context(path)))


def hostile(value: Any) -> Any:
    """The same data with every text, and the names of fields in rows, replaced by markup."""
    if isinstance(value, dict):
        return {
            key: hostile(each) if key not in {"kind", "phase", "held", "shown_as"} else each
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return HOSTILE if isinstance(value, str) else value


def test_every_template_has_a_sample() -> None:
    assert {template for _, template, _ in PAGES.values()} == TEMPLATES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_html_with_one_heading_and_a_title(name: str) -> None:
    found = page(name)
    tags = [tag for tag, _ in found.tags]
    assert tags.count("main") == tags.count("title") - tags.count("svg") - tags.count("g") == 1
    assert tags.count("h1") <= 1


@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_nothing_from_outside_and_has_neither_styles_nor_scripts_of_its_own(name: str) -> None:
    for tag, attributes in page(name).tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not [attribute for attribute in attributes if attribute.startswith("on")]
        if tag in {"script", "link", "img"}:
            assert (attributes.get("src") or attributes.get("href") or "").startswith("/static/")


@pytest.mark.parametrize("name", PAGES)
def test_markup_in_any_value_stays_text(name: str) -> None:
    asked, template, data = PAGES[name]
    found = shown(template, hostile(data), asked)
    tags = [tag for tag, _ in found.tags]
    assert tags.count("img") == 0
    assert all(attributes.get("src") == "/static/live.js" for tag, attributes in found.tags if tag == "script")
    assert not [1 for _, attributes in found.tags if any(name.startswith("on") for name in attributes)]
    assert "6170" not in found.text


def test_markup_in_the_name_of_a_field_and_in_what_was_asked_stays_text() -> None:
    rows = {**ROWS, "rows": [{"key": "k", "row": {HOSTILE: HOSTILE}}]}
    row = {**ROW, "row": {HOSTILE: {HOSTILE: HOSTILE}}}
    for found in (
        shown("rows", rows, f"/tables/t/rows?prefix={HOSTILE}&limit={HOSTILE}"),
        shown("table", {**TABLE, "page": rows}),
        shown("row", row, f"/{HOSTILE}"),
        shown("error", {HOSTILE: HOSTILE}, f"/{HOSTILE}"),
    ):
        assert "img" not in [tag for tag, _ in found.tags]
        assert HOSTILE in found.text or any(HOSTILE in map(str, attributes.values()) for _, attributes in found.tags)


def test_no_link_leads_elsewhere_whatever_the_data_says() -> None:
    workers = [
        member(1, web="javascript://%0aalert(1)"),
        member(2, web="data://text/html,x"),
    ]
    assert all(link.startswith(("/", "#")) for link in shown("overview", services(workers=workers)).links())
    for path in ("//evil.example/x", "/\\evil.example", "\\\\evil.example"):
        links = shown("error", RECOVERING, path).links()
        assert not [link for link in links if link.startswith(("//", "/\\", "\\", "http"))]


def test_a_name_that_the_data_lacks_is_an_error_and_not_an_empty_place() -> None:
    data = {key: value for key, value in ROW.items() if key != "partition"}
    with pytest.raises(UndefinedError):
        render("row", data, context())


def test_scripts_of_others_and_frames_are_forbidden_by_the_headers() -> None:
    policy = dict(each.strip().split(" ", 1) for each in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("style-src", "script-src", "connect-src", "form-action")} == {"'self'"}


def test_what_pages_load_is_there() -> None:
    loaded = {
        attributes.get("src") or attributes.get("href")
        for name in PAGES
        for tag, attributes in page(name).tags
        if tag in {"script", "link"}
    }
    assert {str(each).removeprefix("/static/") for each in loaded} == {each.name for each in STATIC.iterdir()}


def test_the_overview_begins_with_what_is_wrong() -> None:
    text = page("overview").text
    wrong = text.index("No worker serves partition 2 of shop.orders")
    assert text.index("7 things need you") < wrong < text.index("Processed")
    assert "All is well with shipping" in page("well").text


def test_the_overview_lists_requests_with_their_counts_and_how_to_send_one() -> None:
    found = page("asked")
    text = " ".join(found.text.split())
    for said in (
        "POST /orders shop.enriched-ordersinto shop.placedinto shop.paid decided 8,120",
        "refused 220repeated 31failed 2",
        'larder request \'POST /orders\' \'{"customer_id": "CUSTOMER_ID", "quantity": 1}\'',
        "larder request 'POST /orders/ORDER_ID/cancel' Decides,",
        "shop.copies copying copied 20",
    ):
        assert said in text, said
    assert "/tables/shop.enriched-orders" in found.links()
    assert "Requests" not in page("well").text


def test_the_overview_of_a_service_that_is_being_scaled_shows_where_it_stands_and_what_works() -> None:
    found = page("scaled")
    assert [(tag, each["aria-current"]) for tag, each in found.tags if tag == "li" and "aria-current" in each] == [
        ("li", "step")
    ]
    text = " ".join(found.text.split())
    for said in (
        "All is well with shipping",
        "Being scaled to 6 partitions",
        "pausing: done copying: now filling: to come done: to come",
        "2,400 of 10,000 offsets are copied, about 12 s left.",
        "Now the owner of each old partition copies its rows, wake-ups and waiting records.",
        "This phase ends when all old partitions are copied to their ends.",
        "Lookups go on; a mirrored table is as old as the pause",
        "Joins and decides pause; their records wait in their topics",
        "larder scale shipping --cancel",
    ):
        assert said in text, said
    bars = [each for tag, each in found.tags if tag == "progress"]
    assert [(each["value"], each["max"]) for each in bars] == [("2400", "10000")]
    assert "Records are held back" not in text


def test_a_service_that_fills_mirrors_can_no_longer_be_cancelled() -> None:
    text = " ".join(shown("overview", scaled("filling", "running")).text.split())
    assert "pausing: done copying: done filling: now done: to come" in text
    assert "Joins and decides go on, with a mirrored table once it has all rows" in text
    assert "--cancel" not in text
    assert "Time limit" not in text


def test_the_overview_shows_for_an_hour_how_a_growth_has_ended() -> None:
    assert "Scaled to 6 partitions" in shown("overview", services(growth=growth("done"))).text
    cancelled = growth("cancelled", reason="it was cancelled by command")
    text = shown("overview", services(growth=cancelled)).text
    assert "Not scaled" in text
    assert ": it was cancelled by command. It works as before." in text
    before = growth("done", phase_began=context().at - 3_601)
    assert "caled" not in shown("overview", services(growth=before)).text
    assert "caled" not in page("well").text


def test_from_the_overview_a_dead_letter_with_its_cause_is_two_clicks_away() -> None:
    assert "/joins" in page("overview").links()
    assert "/dead-letters/shop.orders/0/4100" in page("joins").links()
    letter = page("dead-letter")
    assert LETTER["cause"] in letter.text
    assert "larder dead-letters replay shipping shop.orders/0/4100" in letter.text


def test_the_joins_name_the_row_that_was_missing_and_lead_to_it() -> None:
    found = page("joins")
    assert "/tables/shop.customers/rows/c990" in found.links()
    assert "customer_id is null" in found.text
    assert "shipping-3 does not answer" in found.text


def test_rows_of_tables_that_the_worker_cannot_answer_for_are_not_linked_to() -> None:
    bare = context("/joins")._replace(tables=())
    links = Reading(render("joins", JOINS, bare)).links()
    assert not [link for link in links if "/rows/" in link]


def test_an_order_that_was_parked_is_not_listed_as_missing_too() -> None:
    assert page("joins").text.count("o0770") == 1


def test_the_next_rows_are_asked_for_with_what_was_asked_before_and_the_cursor() -> None:
    links = shown("rows", ROWS, "/tables/shop.customers/rows?prefix=c%2620&cursor=old&from=").links()
    assert "/tables/shop.customers/rows?prefix=c%2620&cursor=bmV4dA.c2060" in links
    links = shown("rows", ROWS, "/tables/shop.customers/rows?partition=0&partition=2&limit=20").links()
    assert "/tables/shop.customers/rows?partition=0&partition=2&limit=20&cursor=bmV4dA.c2060" in links


def test_rows_of_keys_whose_newest_record_was_rejected_say_so() -> None:
    rejected = {"at": "shop.customers/0/9", "partition": 0, "offset": 9, "cause": "no JSON"}
    rows = [{**ROWS["rows"][0], "rejected": rejected}, {"key": "c9", "row": None, "rejected": rejected}]
    partitions = [{**ROWS["partitions"][0], "unreadable": 2}]
    text = shown("rows", {**ROWS, "rows": rows, "partitions": partitions}).text
    assert "older than a rejected record" in text
    assert "its newest record was rejected: no JSON" in text
    assert "Of 2 keys of these partitions the newest record was rejected" in text
    assert "shop.customers/0/9, which was rejected: no JSON" in shown("row", {**ROW, "rejected": rejected}).text


def test_older_dead_letters_are_asked_for_with_what_was_asked_before_and_the_cursor() -> None:
    asked = "/dead-letters?topic=shop.orders&cause=no+row&cursor=old"
    links = shown("dead-letters", {**LETTERS, "key": None}, asked).links()
    assert "/dead-letters?topic=shop.orders&cause=no%20row&cursor=b2xkZXI" in links
    none = {"letters": [], "next": None, "key": None}
    assert "Nothing was given up" not in shown("dead-letters", none, asked).text
    assert "Nothing was given up" in shown("dead-letters", none, "/dead-letters").text


def test_refusals_have_their_counts_by_reason_and_lead_to_the_row_that_was_not_changed() -> None:
    seen = page("refusals")
    for said in ("At least 5,743 in all", "only … left", "shop.requests/0/9120"):
        assert said in seen.text
    assert "/tables/shop.levels/rows/p1" in seen.links()
    assert "/refusals?state=shop.levels&reason=only%20%E2%80%A6%20left" in seen.links()
    none = shown("refusals", {"refusals": [], "next": None, "counted": None}, "/refusals")
    assert "Nothing was refused" in none.text


def test_a_list_says_in_which_state_its_copies_were_and_how_old_they_may_be() -> None:
    assert "from partitions 0-2 caught up, up to 200 ms old; partition 3 disconnected, up to 1 min 40 s old" in (
        page("rows").text
    )


def test_a_list_without_rows_says_so() -> None:
    empty = {**ROWS, "rows": [], "next": None}
    assert "No rows whose key begins with zz" in shown("rows", empty, "/tables/t/rows?prefix=zz").text


def test_of_keys_that_were_asked_for_the_absent_ones_are_named() -> None:
    rows = {**ROWS, "rows": [{"key": "c1", "row": None}]}
    assert "no such row" in shown("rows", rows).text


def test_fields_keep_the_types_that_were_declared_and_others_are_told() -> None:
    text = page("row").text
    assert "str | None" in text
    assert text.count("not declared here") == 2


def test_the_json_of_a_row_keeps_the_digits_of_its_owner() -> None:
    row = {"price": msgspec.Raw(b"1.10"), "id": msgspec.Raw(b"12345678901234567890")}
    text = shown("row", {**ROW, "row": row}).text
    assert '"price": 1.10' in text
    assert "12345678901234567890" in text


def test_the_topology_is_drawn_and_told_as_a_list_too() -> None:
    found = page("topology")
    nodes = [attributes["class"] for tag, attributes in found.tags if tag == "g"]
    assert len(nodes) == 12
    assert "1,210/s" in found.text
    assert "shop.customers → shop.enriched-orders customer_id" in " ".join(found.text.split())


def test_recovery_says_what_is_left_how_fast_it_goes_and_when_it_ends() -> None:
    text = page("recovery").text
    for said in ("2 of 16 partitions", "21,703", "2,190/s", "in 13 s", "3,110 of 12,481"):
        assert said in text
    assert "All 16 partitions" in shown("recovery", WELL).text


def test_an_error_says_what_to_do_and_when_it_is_known() -> None:
    text = page("error").text
    for said in ("503", "ask again in 8 s", "Expected end", "7.7 s", "urn:larder:recovering"):
        assert said in text


def test_dead_letters_are_counted_by_cause_and_each_cause_is_a_filter() -> None:
    causes = [
        {"topic": "shop.orders", "cause": "no row … & more", "count": 1_200, "samples": []},
        {"topic": "shop.calls", "cause": "the value requires JSON", "count": 1, "samples": []},
    ]
    unsettled = {"total": 1_201, "whole": False, "causes": causes}
    seen = shown("dead-letters", {**LETTERS, "unsettled": unsettled})
    assert "At least 1,201 are not settled. By cause:" in seen.text
    assert "1,200 of shop.orders: no row … & more" in seen.text
    assert "/dead-letters?topic=shop.orders&cause=no%20row%20%E2%80%A6%20%26%20more" in seen.links()
    assert "not settled" not in shown("dead-letters", LETTERS).text


def test_dead_letters_are_searched_where_the_worker_can() -> None:
    assert "Key of the record" in page("dead-letters").text
    assert "Key of the record" not in shown("dead-letters", LETTERS).text
    assert "No dead letter has the key o1" in shown("dead-letters", {"letters": [], "next": None, "key": "o1"}).text


def test_values_of_dead_letters_are_shown_as_they_came() -> None:
    raw = {**LETTER, "value": msgspec.Raw(b'{"price":1.10}')}
    assert '"price": 1.10' in shown("dead-letter", raw).text
    assert "{broken" in shown("dead-letter", {**LETTER, "value": "{broken", "shown_as": "text"}).text
    assert "had no value" in shown("dead-letter", {**LETTER, "value": None, "shown_as": None}).text


def test_a_letter_that_was_settled_says_how_and_when_and_is_not_to_be_replayed() -> None:
    settled = {"how": "replayed", "at": "2026-11-21T22:30:00.000+00:00", "replayed_as": "shop.orders/0/5000"}
    text = shown("dead-letter", {**LETTER, "settled": settled}).text
    assert "It was replayed at 2026-11-21 22:30:00 UTC, as shop.orders/0/5000" in text
    assert "larder dead-letters replay" not in text


def test_a_letter_whose_id_is_a_trap_for_a_shell_is_quoted() -> None:
    assert "replay shipping 'x; rm -rf ~/0/1'" in shown("dead-letter", {**LETTER, "id": "x; rm -rf ~/0/1"}).text


def test_the_data_is_left_as_it_was() -> None:
    for asked, template, data in PAGES.values():
        before = copy.deepcopy(data)
        render(template, data, context(asked))
        assert data == before


def test_a_worker_without_partitions_tables_or_others_has_pages_too() -> None:
    bare = services(joins=[], inputs=[], tables=[], workers=[], partition_counts={})
    assert "No other worker is known here" in shown("overview", bare).text
    assert "holds partitions of tables yet" in shown("recovery", bare).text
    assert "no tables" in shown("tables", {**TABLE_LIST, "tables": []}).text
    assert "no joins" in shown("joins", {"joins": [], "silent": []}).text
    assert "Nothing is declared" in shown("topology", {"nodes": [], "edges": []}).text


@pytest.mark.parametrize("depth", [300, 900, 50_000])
def test_json_that_is_nested_very_deeply_breaks_no_page(depth: int) -> None:
    deep = msgspec.Raw(b"[" * depth + b"]" * depth)
    assert "[[" in shown("row", {**ROW, "row": {"x": deep}}).text
    rows = {**ROWS, "rows": [{"key": "k1", "row": {"x": deep}}, {"key": "k2", "row": {"x": 1}}]}
    assert "k2" in shown("rows", rows).text
    assert "[[" in shown("dead-letter", {**LETTER, "value": deep}).text


def test_indenting_makes_no_more_than_some_megabytes_of_a_record_that_is_made_for_it() -> None:
    wide = b"[" * 200 + b'"]]]]",' + b"1," * 50_000 + b"1" + b"]" * 200
    assert len(render("dead-letter", {**LETTER, "value": msgspec.Raw(wide)}, context())) < 2 * len(wide)


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("/tables/shop.customers/rows/c%2F9?max_age=1", ["/tables", "/tables/shop.customers"]),
        ("/tables/shop.nothing/rows/c9", ["/tables"]),
        ("/tables/shop.customers", ["/tables"]),
        ("/dead-letters/shop.orders/0/7", ["/dead-letters"]),
        ("/nowhere", ["/"]),
    ],
)
def test_a_page_of_what_is_not_there_has_a_way_back(path: str, links: list[str]) -> None:
    problem = {"type": "urn:larder:unknown-row", "title": "No such row", "status": 404, "detail": "no row"}
    found = shown("error", problem, path).links()
    menu = shown("error", problem, "/").links()[:-1]
    assert found[len(menu) :] == links
