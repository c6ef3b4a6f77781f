"""A page of another site, open in a browser that reaches a worker, cannot make it take a request. A real worker."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.cluster.reservations import MODULE
from tests.conftest import unique
from tests.support.browser import context_of
from tests.support.workers import Worker, running

pytestmark = pytest.mark.browser

BODY = '{"item": "ring", "reservation": "r"}'

FORM = """([action, type, name, value]) => {
    const form = document.body.appendChild(document.createElement("form"))
    Object.assign(form, {method: "post", action, enctype: type})
    if (name) Object.assign(form.appendChild(document.createElement("input")), {name, value})
    form.submit()
}"""

FETCH = """([address, options]) => fetch(address, {method: "POST", ...options}).then(
    answer => answer.type == "opaque" ? "sent" : answer.status, _ => "blocked")"""


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    name = unique("foreign-pages")
    module = MODULE.replace("{prefix}", name)
    worker = Worker(kafka, tmp_path_factory.mktemp("foreign"), module, name)
    with running(worker):
        worker.until_caught_up()
        yield worker


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of a page of another site; browsers find names below localhost on their own machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://shop.localhost:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with context_of(browser) as context:
        yield context.new_page()


def answer_to(page: Page, script: str, *given: Any) -> int:
    """Run a script that posts something, and return the status of the answer."""
    with page.expect_response(lambda answer: answer.request.method == "POST", timeout=10_000) as found:
        page.evaluate(script, list(given))
    return found.value.status


def nothing_is_reserved(worker: Worker) -> bool:
    return worker.row(f"{worker.service}.stock", "ring")[0] == 404


def test_a_page_of_another_site_can_send_but_nothing_is_taken(worker: Worker, elsewhere: str, page: Page) -> None:
    there = f"http://127.0.0.1:{worker.web_port()}"
    json = '{"item": "ring", "reservation": "'
    for type_ in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        for path, name, value in (("/reservations", json, '"}'), ("/reservations/ring/release", "", "")):
            page.goto(elsewhere)
            with page.expect_navigation() as answer:
                page.evaluate(FORM, [f"{there}{path}", type_, name, value])
            assert answer.value is not None
            assert answer.value.status == 403
    page.goto(elsewhere)
    for options in ({"body": BODY}, {"body": BODY, "headers": {"Content-Type": "text/plain"}}, {}):
        assert answer_to(page, FETCH, f"{there}/reservations", {**options, "mode": "no-cors"}) == 403
    assert answer_to(page, "sent => navigator.sendBeacon(...sent)", f"{there}/reservations", BODY) == 403
    with_type = {"body": BODY, "headers": {"Content-Type": "application/json"}}
    assert page.evaluate(FETCH, [f"{there}/reservations", with_type]) == "blocked"
    assert nothing_is_reserved(worker)


def test_a_page_under_another_name_of_the_worker_cannot_do_anything(worker: Worker, page: Page) -> None:
    answer = page.goto(f"http://shop.localhost:{worker.web_port()}/")
    assert answer is not None
    assert answer.status == 421
    with_type = {"body": BODY, "headers": {"Content-Type": "application/json"}}
    assert page.evaluate(FETCH, ["/reservations", with_type]) == 421
    assert nothing_is_reserved(worker)


def test_a_page_of_the_worker_itself_sends_json_only(worker: Worker, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{worker.web_port()}/")
    for options in ({"body": BODY}, {"body": "item=ring", "headers": {"Content-Type": "text/plain"}}, {}):
        assert page.evaluate(FETCH, ["/reservations", options]) == 415
    assert nothing_is_reserved(worker)
    with_type = {"body": BODY.replace("ring", "watch"), "headers": {"Content-Type": "application/json"}}
    assert page.evaluate(FETCH, ["/reservations", with_type]) == 201
