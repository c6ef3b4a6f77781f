"""One process of larder: settings, worker, command line, local broker, web port. The only composition root.

Refuses to start beside foreign packages that bear the names of ours: other projects called `tables` and `agents`
exist, and whichever comes first on the path is imported.
"""

from importlib.util import find_spec
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def _foreign(name: str) -> str | None:
    """Where a package of that name would be imported from, if it is not ours."""
    spec = find_spec(name)
    origin = None if spec is None else spec.origin
    if origin is not None and Path(origin).resolve() == _ROOT / name / "__init__.py":
        return None
    return origin or "nowhere"


for _name in ("tables", "agents"):
    if _found := _foreign(_name):
        _message = (
            f"larder: package {_name}: larder requires its own package, {_ROOT / _name}; found {_found}; "
            "take it off the path (PYTHONPATH, the working directory) or rename it"
        )
        raise SystemExit(_message)
