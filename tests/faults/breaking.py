"""Breaks the code on purpose in a copy: a checker that never failed is untested (make faults BREAK=no-fence).

Each break is a file in `breaks`: a line that describes it, then files, and a text to replace with another. A break
whose text no longer exists is refused: it would break nothing, and the suite would seem blind.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

from tests.faults.results import JUDGED, ROOT

BREAKS = Path(__file__).parent / "breaks"


def broken_copy(name: str, into: Path, root: Path = ROOT) -> Path:
    """Copy the code with the break `name`. Raise ValueError if the break does not apply."""
    file = BREAKS / f"{name}.toml"
    if not file.exists():
        message = f"no break {name}; there are {', '.join(sorted(each.stem for each in BREAKS.glob('*.toml')))}"
        raise ValueError(message)
    shutil.rmtree(into, ignore_errors=True)
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *JUDGED]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    for path in listed:
        if (root / path).is_file():
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, into / path)
    for change in tomllib.loads(file.read_text())["change"]:
        target = into / change["file"]
        text = target.read_text()
        if text.count(change["old"]) != 1:
            message = f"break {name} does not apply: {change['file']} has its text {text.count(change['old'])} times"
            raise ValueError(message)
        target.write_text(text.replace(change["old"], change["new"]))
    return into
