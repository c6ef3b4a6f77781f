"""A worker that kills itself at a step: python -m tests.support.dying_worker STEP:COUNT worker SERVICE ...

It is the worker of the public command, with nothing changed but what happens when the step is reached for the
COUNT-th time: SIGKILL, as if the machine had ended it there.
"""

from __future__ import annotations

import functools
import os
import signal
import sys

import app.worker
from agents.engine.running import ServiceRunner
from app.cli import main


def dying_at(step: str, count: int) -> None:
    left = count

    def reached(name: str) -> None:
        nonlocal left
        left -= name == step
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    vars(app.worker)["ServiceRunner"] = functools.partial(ServiceRunner, reached=reached)


if __name__ == "__main__":
    wanted, _, times = sys.argv.pop(1).partition(":")
    dying_at(wanted, int(times))
    main()
