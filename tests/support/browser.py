"""A browser as a person has it: the machine's own Chromium, driven by playwright, and what axe finds on a page.

Playwright's own browsers are not used: nothing is downloaded when tests run. A test that uses these carries
`@pytest.mark.browser`; where there is no Chromium it is left out, and the end of the run says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.chromium import chromium

T = TypeVar("T")

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
"""Where pictures of pages are kept, to look at."""

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1180, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1180, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
"""Ways to look at a page."""

# What axe calls by these names keeps somebody from using a page.
_SERIOUS = frozenset({"serious", "critical"})


@contextmanager
def browsing() -> Iterator[Browser]:
    """Give a browser while the block runs. Playwright has an event loop of its own in this thread: see `outside`."""
    with sync_playwright() as playwright:
        # A container's root may not have a sandbox; only pages of our own are opened.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def context_of(browser: Browser, look: str = "light", **others: Any) -> Iterator[BrowserContext]:
    """Give a fresh window, so to speak, that looks one way."""
    context = browser.new_context(**{**LOOKS[look], **others})
    context.set_default_timeout(15_000)
    try:
        yield context
    finally:
        context.close()


def complaints(page: Page) -> list[str]:
    """What the browser complains of from now on: errors of scripts, and what the policy of the page forbids."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


def barriers(page: Page) -> list[str]:
    """What axe finds on the page that keeps somebody from using it."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{each['impact']} {each['id']}: {[node['target'] for node in each['nodes'][:3]]}"
        for each in violations
        if each["impact"] in _SERIOUS
    ]


def picture(page: Page, name: str) -> None:
    """Keep the whole page as build/screenshots/NAME.png."""
    path = SCREENSHOTS / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=True)


def too_wide(page: Page) -> bool:
    """Whether the page as a whole has to be moved sideways to be read."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def outside(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in another thread: in this one playwright's event loop is running."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()
