"""The site's navigation, read from docs/index.md: its headings are the sections, its links the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_LINE = re.compile(r"^(?:## (?P<section>.+)|- \[(?P<title>[^\]]+)\]\((?P<page>[^)]+\.md)\).*)$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Set what the configuration leaves out; called by MkDocs."""
    pages: list[Any] = ["index.md"]
    nav = pages
    for line in _LINE.finditer((Path(config.docs_dir) / "index.md").read_text(encoding="utf-8")):
        if section := line["section"]:
            nav.append({section: (pages := [])})
        else:
            pages.append({line["title"]: line["page"]})
    config.nav = nav
    return config
