"""A worker that kills itself, or stops, at a step: python -m tests.support.dying_worker STEP:COUNT[:SIGSTOP] worker ...

It is the worker of the public command. Only when it reaches the step for the COUNT-th time, it gets SIGKILL, as if the
machine had crashed there, or SIGSTOP, until the test continues it.
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
