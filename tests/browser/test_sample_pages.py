"""All pages in a browser, from sample data: appearance, accessibility, use without JavaScript, and live updates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.gallery import make_gallery, serving
from tests.larder.pages.samples import PAGES
from tests.support.browser import LOOKS, barriers, complaints, context_of, picture, too_wide

pytestmark = pytest.mark.browser

_OVERLAPPING = """all => {
    const boxes = all.map(each => each.getBoundingClientRect());
    const apart = (one, other) => one.right <= other.left || one.bottom <= other.top;
    const overlap = (one, other) => !apart(one, other) && !apart(other, one);
    return boxes.filter((one, at) => boxes.slice(at + 1).some(other => overlap(one, other))).length;
}"""


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    with serving(make_gallery()) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with context_of(browser) as context:
        yield context.new_page()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_accessible_and_obeys_its_own_policy(browser: Browser, gallery: str, look: str) -> None:
    with context_of(browser, look) as context:
        page = context.new_page()
        complained = complaints(page)
        for name in PAGES:
            page.goto(f"{gallery}/sample/{name}")
            picture(page, f"samples/{name}-{look}")
            assert barriers(page) == [], name
            assert not too_wide(page), name
        assert complained == []


def test_axe_finds_faults(page: Page) -> None:
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><img src='x.png'><input></main>")
    assert len(barriers(page)) == 2


def test_a_page_and_its_forms_work_without_javascript(browser: Browser, gallery: str) -> None:
    with context_of(browser, java_script_enabled=False) as context:
        page = context.new_page()
        for name, (_, _, data) in PAGES.items():
            page.goto(f"{gallery}/sample/{name}")
            assert page.locator("main").inner_text(), data
        page.goto(f"{gallery}/tables/shop.customers")
        expect(page.get_by_role("cell", name="Ada Lovelace").first).to_be_visible()
        page.get_by_text("By prefix, range or index").click()
        page.get_by_label("that begin with").fill("c20&")
        page.get_by_label("whose").select_option("country")
        page.get_by_role("button", name="List").click()
        asked = urlsplit(page.url)
        assert asked.path == "/tables/shop.customers/rows"
        assert parse_qs(asked.query) == {"prefix": ["c20&"], "index": ["country"], "limit": ["100"]}
        page.get_by_role("link", name="Next rows").click()
        assert parse_qs(urlsplit(page.url).query)["cursor"] == ["bmV4dA.c2060"]


def test_changed_rows_appear_on_the_page_and_their_markup_does_not_run(page: Page, gallery: str) -> None:
    complained = complaints(page)
    page.goto(f"{gallery}/tables/shop.customers")
    expect(page.locator("tr", has_text="c2041")).to_contain_text("Bo, who moved")
    expect(page.locator("tr.gone")).to_contain_text("c2043")
    first = page.locator("table.rows tbody tr").first
    expect(first).to_contain_text("<img src=x onerror=alert(1)>")
    assert first.locator("a").get_attribute("href") == "/tables/shop.customers/rows/%3Cb%3Ec9999%3C%2Fb%3E"
    expect(page.locator("[data-liveness]").first).to_have_text("live")
    assert complained == []


def test_a_hidden_page_keeps_no_more_changes_than_it_shows(page: Page, gallery: str) -> None:
    page.add_init_script("window.requestAnimationFrame = (draw) => { window.draw = draw; }")
    changes = [{"key": f"c{number}", "row": {"name": f"of c{number}"}} for number in range(1_000)]
    stream = "".join(f"event: row\ndata: {json.dumps(each)}\n\n" for each in changes)
    page.route("**/changes", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    page.goto(f"{gallery}/tables/shop.customers")
    expect(page.locator("[data-liveness]").first).to_contain_text("tries again")
    counting = "{ apply: (make, of, [tag]) => { window.drawn += tag === 'tr'; return make.call(of, tag); } }"
    page.evaluate(f"window.drawn = 0; document.createElement = new Proxy(document.createElement, {counting}); 0")
    page.evaluate("window.draw()")
    assert page.evaluate("window.drawn") == page.locator("table.rows tbody tr").count() == 200
    expect(page.locator("table.rows tbody tr").first).to_contain_text("c999")


def test_after_missed_changes_the_page_says_so_until_it_has_read_its_rows_again(page: Page, gallery: str) -> None:
    path, old, new = "/tables/shop.customers", "Bo Diddley", "Bo, as read again"
    whole = page.request.get(gallery + path).text()
    answers = {"status": 200, "body": whole, "content_type": "text/html"}
    streams = ["event: reset\ndata: {}\n\n"]

    def stream(route: Route) -> None:
        answers["status"] = 503 if streams else answers["status"]
        event = streams.pop() if streams else ": alive\n\n"
        route.fulfill(body=f"retry: 50\n{event}", content_type="text/event-stream")

    page.route("**/changes", stream)
    page.route(f"**{path}", lambda route: route.fulfill(**answers))
    page.goto(gallery + path)
    liveness = page.locator("[data-liveness]").first
    for _ in range(3):
        with page.expect_request("**/changes"):
            expect(liveness).to_have_text("changes were missed: load the page again")
    expect(page.locator("table.rows")).to_contain_text(old)
    answers |= {"status": 200, "body": whole.replace(old, new)}
    expect(page.locator("table.rows")).to_contain_text(new)
    expect(page.locator("table.rows")).not_to_contain_text(old)
    expect(liveness).not_to_contain_text("missed")


def test_the_overview_refreshes_itself_and_reports_a_silent_worker(page: Page, gallery: str) -> None:
    page.clock.install()
    page.goto(gallery)
    expect(page.get_by_role("heading", level=1)).to_have_text("7 things need you")
    page.route("**/", lambda route: route.fulfill(body="<main><h1>All is well</h1></main>", content_type="text/html"))
    page.clock.run_for(5_100)
    expect(page.get_by_role("heading", level=1)).to_have_text("All is well")
    page.unroute("**/")
    page.route("**/", lambda route: route.abort())
    page.clock.run_for(5_100)
    expect(page.locator("[data-liveness]")).to_contain_text("does not answer")
    expect(page.get_by_role("heading", level=1)).to_have_text("All is well")


def test_a_worker_that_accepts_requests_but_never_answers_is_shown_as_silent(page: Page, gallery: str) -> None:
    page.goto(f"{gallery}/sample/recovery")
    page.route("**/sample/recovery", lambda _: None)
    expect(page.locator("[data-liveness]")).to_contain_text("does not answer", timeout=12_000)


@pytest.mark.parametrize("look", LOOKS)
def test_a_topology_fits_its_page_or_scrolls_sideways_to_stay_readable(
    browser: Browser, gallery: str, look: str
) -> None:
    with context_of(browser, look) as context:
        page = context.new_page()
        page.goto(f"{gallery}/topology")
        drawn = page.locator(".drawing svg").evaluate(
            "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
        )
        sideways = page.locator(".drawing").evaluate("each => each.scrollWidth > each.clientWidth")
        assert sideways == (look == "phone")
        assert drawn == pytest.approx(0.75, abs=0.01) if sideways else 0.74 < drawn < 1.01
        assert page.locator(".drawing .label").evaluate_all(_OVERLAPPING) == 0


def test_everything_can_be_reached_by_keyboard_after_a_link_past_the_menu(page: Page, gallery: str) -> None:
    page.goto(gallery)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


_SIDEWAYS = """() => [...document.querySelectorAll("main, main *, nav")]
    .filter(each => ["auto", "scroll"].includes(getComputedStyle(each).overflowX))
    .filter(each => each.scrollWidth > each.clientWidth)
    .map(each => each.getAttribute("aria-label"))"""


def test_on_a_phone_only_rows_and_drawings_scroll_sideways(browser: Browser, gallery: str) -> None:
    with context_of(browser, "phone", viewport={"width": 360, "height": 800}) as context:
        page = context.new_page()
        for name in PAGES:
            page.goto(f"{gallery}/sample/{name}")
            assert not too_wide(page), name
            assert {*page.evaluate(_SIDEWAYS)} <= {"Rows of shop.customers", "Drawing"}, name
            menu = page.locator("nav[aria-label=Pages]")
            assert not menu.evaluate("each => each.scrollWidth > each.clientWidth"), name
