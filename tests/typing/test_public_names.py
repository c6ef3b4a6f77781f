"""What users import: complete, and typed as they wrote it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

NAMES = {
    "larder": "DeadLetter Decision Delete Drop EventTopic OwnerTopic PassOn Retry Row Service Unavailable Wait Wake",
    "larder.demo": "Beside Demo Generator History Program Publication",
    "larder.testing": (
        "Driver MemoryAnswer MemoryLetter MemoryRecord TableView TopicRecords UnreadDeadLettersError run_in_memory"
    ),
    "larder.types": "UNKNOWN Attempt DeclarationError GaveUp LarderError Near Problem Refusal Rekeyed Unknown WakeUp",
}


@pytest.mark.parametrize("module", NAMES)
def test_a_public_module_exports_its_names_and_no_others(module: str) -> None:
    exported = importlib.import_module(module)
    assert sorted(exported.__all__) == sorted(NAMES[module].split())
    assert all(hasattr(exported, name) for name in exported.__all__)


def test_declarations_import_no_client_no_store_and_no_faust() -> None:
    program = (
        "import sys, larder, larder.types, larder.demo\n"
        "print({'aiokafka', 'faust', 'rocksdict', 'aiohttp', 'rich'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_decorated_functions_keep_their_types_and_rows_have_those_of_their_fields() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "tests/typing/public_types.py"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
