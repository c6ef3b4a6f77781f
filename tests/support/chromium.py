"""Where this machine's Chromium is. Apart from what drives it, since every test run asks."""

from __future__ import annotations

import os
import shutil


def chromium() -> str | None:
    """Give the program: `CHROMIUM`, or the one on the path."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
