"""What a seed stands for: the variants of the declarations, the manner of the workload, the faults and their times.

Pure: the same seed gives the same plan. How the processes interleave is real, and differs from run to run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

SESSION_SECONDS = 3.0
"""Long enough for a machine that does other things too: workers that lose their sessions by themselves do nothing."""
TROUBLE_SECONDS = 4.0
"""How long after the first result a fault may begin: each seed then has some seconds of load before and after it."""

WORKERS = ("one", "two", "three")

# The long wait is longer than a seed is given to come to rest: what nobody lets go is seen to wait.
MISSING = ("Wait(seconds=600).then(DeadLetter)", "Wait(seconds=2).then(DeadLetter)", "PassOn", "DeadLetter")

PARTS = [
    ("shop",),
    ("stock",),
    ("transfers",),
    ("labels",),
    ("shop", "stock"),
    ("stock", "transfers"),
    ("shop", "labels"),
    ("labels", "transfers"),
]
"""Which parts of the workload go together: not all, or a worker of a loaded machine is late with each."""

# Each is as likely as its weight: those that break most come most often.
WEIGHTS = {
    "kill": 4,
    "kill-at-step": 4,
    "lost-disk": 2,
    "fence": 2,
    "changed-type": 2,
    "pause": 3,
    "pause-at-step": 4,
    "kill-broker": 2,
    "pause-broker": 1,
    "cut": 3,
    "hold": 3,
    "slow": 2,
    "full-disk": 2,
    "rolling-restart": 1,
    "fourth": 2,
    "compaction": 3,
}

STEPS = ("write", "written", "delivery.sent", "delivery.acknowledged", "delivery.committed")
"""Where a worker can be killed or stopped: around its stores' writes, and within its transactions."""


EVERYWHERE = frozenset({"kill-broker", "pause-broker", "rolling-restart", "fourth", "compaction"})
"""Those that hit no particular worker."""


PLACING = {
    "stock": ("levels", "{prefix}.requests.by.product_id", "{prefix}.levels.wake-ups"),
    "transfers": ("accounts", "{prefix}.transfers.by.source"),
    "labels": ("{prefix}.addresses.by.client_id", "{prefix}.addresses.by.client_id.keys"),
}
"""Topics of the service by whose number of partitions each part places records; names as `Part` gives them."""


LAST_REPLAYED = 0.5
"""Seeds below end with a replay, where they end with nothing else."""


MANNERS = ("duplicated", "reordered", "early", "anew", "absent", "grown", "replayed", "standby")


class Fault(NamedTuple):
    """One fault: begins `at` seconds after the first result, lasts for so many `seconds`, hits `worker`.

    `step` as "delivery.sent:3" is where it hits, for those that hit at a step.
    """

    name: str
    at: float
    worker: str
    seconds: float
    step: str

    def __str__(self) -> str:
        where = f" {self.worker}" if self.name not in EVERYWHERE else ""
        step = f" {self.step}" if self.name.endswith("-at-step") else ""
        return f"{self.name}{where}{step} {self.at:.1f}+{self.seconds:.1f}"


@dataclass(frozen=True)
class Plan:
    """One seed's; `early` begins with the faults while the workers are still starting.

    `anew` ends with a worker that begins anew after deletions have expired, `absent` with one that was away until they
    had, `replayed` with an operator who replays all dead letters; `grown` is a topic of the service that somebody adds
    partitions to at the end. With `standby` workers follow what others process.
    """

    seed: int
    parts: tuple[str, ...]
    missing: tuple[str, str]
    signed: tuple[bool, bool]
    duplicated: bool
    reordered: bool
    early: bool
    anew: bool
    absent: bool
    grown: str
    replayed: bool
    standby: bool
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        manner = [name for name in MANNERS if getattr(self, name)]
        return f"{'+'.join(self.parts)}: {', '.join([*map(str, self.faults), *manner]) or 'no fault'}"


def planned(seed: int) -> Plan:
    chance = random.Random(seed)  # noqa: S311 - nothing is secret here
    parts = tuple(chance.choice(PARTS))
    missing = (chance.choice(MISSING), chance.choice(MISSING))
    signed = (chance.random() < 0.5, chance.random() < 0.5)
    duplicated, reordered = chance.random() < 0.3, chance.random() < 0.3
    # One in ten has none: what fails there is the suite, or the plainest of defects.
    count = chance.choice((0, 1, 1, 2, 2, 2, 2, 3, 3, 3))
    faults = tuple(sorted((_fault(chance) for _ in range(count)), key=lambda each: each.at))
    early, last = chance.random() < 0.25, chance.random()
    # A deletion that has been compacted once keeps the time that it was given then.
    compacted = any(fault.name == "compaction" for fault in faults)
    anew, absent = (last < 0.1 and not compacted), (0.1 <= last < 0.2 and not compacted and "shop" in parts)
    standby = chance.random() < 0.5
    grown = chance.choice([topic for part in parts for topic in PLACING.get(part, ())] or [""])
    grown = grown if 0.2 <= last < 0.35 else ""
    return Plan(
        seed,
        parts,
        missing,
        signed,
        duplicated,
        reordered,
        early,
        anew,
        absent,
        grown,
        0.35 <= last < LAST_REPLAYED,
        standby,
        faults,
    )


def _fault(chance: random.Random) -> Fault:
    name = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    at = round(chance.uniform(0, TROUBLE_SECONDS), 2)
    step = f"{chance.choice(STEPS)}:{chance.randint(1, 30)}"
    return Fault(name, at, chance.choice(WORKERS), round(_seconds(name, chance), 2), step)


def _seconds(name: str, chance: random.Random) -> float:
    if name.startswith("pause"):
        # Some sleep shorter than their session, most well beyond it.
        return chance.choice((0.7, 1, 1, 1)) * chance.uniform(SESSION_SECONDS + 1, SESSION_SECONDS + 2)
    if name in {"cut", "hold", "slow", "fourth", "fence", "changed-type"}:
        return chance.uniform(0.2, 4)
    return chance.uniform(0.1, 2)


def seeds_of(text: str) -> list[int]:
    """Read "1-10" or "3,7,20-22"; raises ValueError."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds
