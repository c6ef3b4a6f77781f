"""A worker of an older version: the unchanged code of Larder before it was one package (commit 0d2fe76).

`code.tar.xz` contains its packages `app`, `agents` and `tables`, from
`git archive 0d2fe76 app agents tables | xz -9e`. They run in the environment of the tests, so that only Larder differs.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from tests.support.workers import ROOT, Worker

CODE = Path(__file__).with_name("code.tar.xz")

IMPORTS = """
from agents import DeadLetter, Decision, Drop, Service, Wait, Wake, WakeUp
from tables import EventTopic, OwnerTopic, Row
"""

# The older code refuses to run if other packages with its names can be imported, such as those of the checkout.
_RUN = f"import runpy, sys; sys.path.remove({str(ROOT)!r}); runpy.run_module('app', run_name='__main__')"
_METADATA = "Metadata-Version: 2.1\nName: larder\nVersion: 0.1.0\n"


def unpacked(directory: Path) -> Path:
    """Unpack the older code below `directory`, as if installed there."""
    code = directory / "older"
    with tarfile.open(CODE) as archive:
        archive.extractall(code, filter="data")
    installed = code / "larder-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(_METADATA)
    return code


class OlderWorker(Worker):
    """A process of the older code, with the directory, the group and the settings of `Worker`."""

    program = ("-c", _RUN)

    def __init__(self, code: Path, *arguments: Any, **options: Any) -> None:
        """Take `code` from `unpacked`; the other arguments are those of `Worker`."""
        super().__init__(*arguments, **options)
        self.environment["PYTHONPATH"] = str(code)
