"""The path of this machine's Chromium. In its own module, because every test run needs it without playwright."""

from __future__ import annotations

import os
import shutil


def chromium() -> str | None:
    """Return the program: `CHROMIUM`, or the one on the path."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
