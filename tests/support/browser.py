"""The machine's own Chromium, driven by playwright, and the findings of axe on a page.

Playwright's own browsers are not used, so that tests download nothing. A test that needs a browser has the mark
`@pytest.mark.browser`. Without Chromium it is skipped, and the summary of the run says so.
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
"""Where pictures of pages are kept, for people to check."""

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1180, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1180, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
"""The kinds of window in which pages are tested."""

# The impacts of axe for problems that prevent people from using a page.
_SERIOUS = frozenset({"serious", "critical"})


@contextmanager
def browsing() -> Iterator[Browser]:
    """Yield a browser. Playwright runs an event loop of its own in this thread: see `outside`."""
    with sync_playwright() as playwright:
        # Root in a container may not use a sandbox. Only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def context_of(browser: Browser, look: str = "light", **others: Any) -> Iterator[BrowserContext]:
    """Yield a fresh context of one kind of window."""
    context = browser.new_context(**{**LOOKS[look], **others})
    context.set_default_timeout(15_000)
    try:
        yield context
    finally:
        context.close()


def complaints(page: Page) -> list[str]:
    """Return a list that collects the browser's errors from now on: script errors and policy violations."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


def barriers(page: Page) -> list[str]:
    """Return axe's findings that prevent people from using the page."""
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
    """Return whether the page as a whole scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def outside(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in another thread, since playwright's event loop runs in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()
