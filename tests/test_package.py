import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_built_package_says_that_its_types_can_be_checked(tmp_path: Path) -> None:
    built, facts = tmp_path / "built", tmp_path / "facts"
    facts.mkdir()
    build = ["egg_info", "--egg-base", str(facts), "build_py", "--build-lib", str(built)]
    subprocess.run([sys.executable, "-c", "import setuptools; setuptools.setup()", *build], cwd=ROOT, check=True)

    found = {file.relative_to(built).as_posix() for file in built.rglob("py.typed")}
    assert found == {"larder/py.typed"}
