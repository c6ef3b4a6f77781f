"""A worker that kills itself, or stops, at a step: python -m tests.support.dying_worker STEP:COUNT[:SIGSTOP] worker ...

It is the worker of the public command, with nothing changed but what happens when the step is reached for the
COUNT-th time: SIGKILL, as if the machine had ended it there, or SIGSTOP, until somebody continues it.
"""

from __future__ import annotations

import functools
import os
import signal
import sys

import larder.process.worker
from larder.cli.main import main
from larder.worker.runner import ServiceRunner


def dying_at(step: str, count: int, how: signal.Signals) -> None:
    left = count

    def reached(name: str) -> None:
        nonlocal left
        left -= name == step
        if name == step and left == 0:
            os.kill(os.getpid(), how)

    vars(larder.process.worker)["ServiceRunner"] = functools.partial(ServiceRunner, reached=reached)


if __name__ == "__main__":
    wanted, times, *by = sys.argv.pop(1).split(":")
    dying_at(wanted, int(times), signal.Signals[by[0]] if by else signal.SIGKILL)
    main()
