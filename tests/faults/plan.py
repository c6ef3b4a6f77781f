"""The plan of a seed: the variants of the declarations, the kind of workload, the faults and their times.

Pure: the same seed gives the same plan. The interleaving of the processes is real, and differs from run to run.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

SESSION_SECONDS = 3.0
"""Long enough for a busy machine: workers that lose their sessions without a fault get no work done."""
TROUBLE_SECONDS = 4.0
"""The latest start of a fault after the first result, so that each seed has some seconds of load before and after."""

WORKERS = ("one", "two", "three")

# The long wait exceeds the time for a seed to become idle, so that orders that are never released are still waiting.
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
"""The parts of the workload that run together. With all of them, workers on a loaded machine would lag everywhere."""

# Each fault has a weight. Those that find most defects are the most frequent.
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
"""Growth is drawn apart from these, so that the plans of earlier seeds stay as they were."""

STEPS = ("write", "written", "delivery.sent", "delivery.acknowledged", "delivery.committed")
"""The steps at which a worker can be killed or stopped: around writes to its stores, and within its transactions."""


EVERYWHERE = frozenset({"kill-broker", "pause-broker", "rolling-restart", "fourth", "compaction", "scale"})
"""The faults that do not hit a particular worker."""


PLACING = {
    "stock": ("levels", "{prefix}.requests.by.product_id", "{prefix}.levels.wake-ups"),
    "transfers": ("accounts", "{prefix}.transfers.by.source"),
    "labels": ("{prefix}.addresses.by.client_id", "{prefix}.addresses.by.client_id.keys"),
}
"""Topics of the service whose partition count determines where each part places records; names as in `Part`."""


LAST_REPLAYED = 0.5
"""Seeds below this end with a replay, unless they end with something else."""


OWN = (0, 3, 6)
"""Numbers of partitions for the service; its topics have 4."""


GROWN = 8
"""The number of partitions of a topic to which its owner has added some."""


SCALED = 0.6
"""How many of the seeds that end with nothing else have a growth."""


OVERTAKEN = 0.6
"""How many of the seeds with a growth and a shop have one of a topic that the service follows, by its owner."""


BOOKED = 0.3
"""How many of the seeds have clients who send requests as well."""


CHARGED = 0.3
"""How many of the seeds have calls at a provider as well."""


ORDERED = 0.25
"""How many of the seeds that have room for it have an order process as well."""


MOST_PARTS = 3
"""How many parts run together with an order process, which has many topics; with more, workers would only start."""


MANNERS = ("duplicated", "reordered", "early", "anew", "absent", "grown", "replayed", "standby")


class Fault(NamedTuple):
    """One fault: it begins `at` seconds after the first result, lasts for `seconds`, and hits `worker`.

    Faults at a step have one such as "delivery.sent:3". A growth has its number of partitions there, and "cancelled" if
    it is cancelled after `seconds`, or "overtaken" if the owner of the products adds partitions so long before.
    """

    name: str
    at: float
    worker: str
    seconds: float
    step: str

    def __str__(self) -> str:
        where = f" {self.worker}" if self.name not in EVERYWHERE else ""
        step = f" {self.step}" if self.name.endswith("-at-step") or self.name == "scale" else ""
        return f"{self.name}{where}{step} {self.at:.1f}+{self.seconds:.1f}"


@dataclass(frozen=True)
class Plan:
    """The plan of one seed. With `early` the faults begin while the workers are still starting.

    With `anew` it ends with a worker that starts without stores after tombstones were removed, with `absent` with a
    worker that was down until then, with `replayed` with a replay of all dead letters. `grown` is a topic of the
    service that gets more partitions at the end. With `standby` workers copy partitions of others. `own` is the number
    of partitions that the service declares, which differs from that of its topics; 0 for none.
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
    own: int = 0

    def __str__(self) -> str:
        manner = [name for name in MANNERS if getattr(self, name)] + ([f"own {self.own}"] if self.own else [])
        return f"{'+'.join(self.parts)}: {', '.join([*map(str, self.faults), *manner]) or 'no fault'}"


def planned(seed: int) -> Plan:
    chance = random.Random(seed)  # noqa: S311 - nothing is secret here
    parts = tuple(chance.choice(PARTS))
    missing = (chance.choice(MISSING), chance.choice(MISSING))
    signed = (chance.random() < 0.5, chance.random() < 0.5)
    duplicated, reordered = chance.random() < 0.3, chance.random() < 0.3
    # One seed in ten has no fault: if it fails, the suite is wrong or the defect is a plain one.
    count = chance.choice((0, 1, 1, 2, 2, 2, 2, 3, 3, 3))
    faults = tuple(sorted((_fault(chance) for _ in range(count)), key=lambda each: each.at))
    early, last = chance.random() < 0.25, chance.random()
    # A tombstone that was compacted once keeps the expiry that it got then.
    compacted = any(fault.name == "compaction" for fault in faults)
    anew, absent = (last < 0.1 and not compacted), (0.1 <= last < 0.2 and not compacted and "shop" in parts)
    standby = chance.random() < 0.5
    grown = chance.choice([topic for part in parts for topic in PLACING.get(part, ())] or [""])
    grown = grown if 0.2 <= last < 0.35 else ""
    # Drawn last, so that the rest of a seed's plan stays as it was.
    own = chance.choice(OWN) if last >= LAST_REPLAYED else 0
    if last >= LAST_REPLAYED and chance.random() < SCALED:
        growths = [_growth(chance) for _ in range(chance.choice((1, 1, 2)))]
        if "shop" in parts and chance.random() < OVERTAKEN:
            growths[0] = growths[0]._replace(step=f"{GROWN} overtaken")
        faults = tuple(sorted((*faults, *growths), key=lambda each: each.at))
    if chance.random() < BOOKED:
        parts = (*parts, "bookings")
    if chance.random() < CHARGED:
        parts = (*parts, "charges")
    if chance.random() < ORDERED and len(parts) < MOST_PARTS:
        parts = (*parts, "orders")
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
        own,
    )


def _growth(chance: random.Random) -> Fault:
    step = chance.choice(("2", "3", "6", "6", "8", "8 cancelled"))
    return Fault("scale", round(chance.uniform(0, TROUBLE_SECONDS), 2), "", round(chance.uniform(0.5, 3), 2), step)


def _fault(chance: random.Random) -> Fault:
    name = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    at = round(chance.uniform(0, TROUBLE_SECONDS), 2)
    step = f"{chance.choice(STEPS)}:{chance.randint(1, 30)}"
    return Fault(name, at, chance.choice(WORKERS), round(_seconds(name, chance), 2), step)


def _seconds(name: str, chance: random.Random) -> float:
    if name.startswith("pause"):
        # Some pauses are shorter than a session, most are far longer.
        return chance.choice((0.7, 1, 1, 1)) * chance.uniform(SESSION_SECONDS + 1, SESSION_SECONDS + 2)
    if name in {"cut", "hold", "slow", "fourth", "fence", "changed-type"}:
        return chance.uniform(0.2, 4)
    return chance.uniform(0.1, 2)


def seeds_of(text: str) -> list[int]:
    """Parse "1-10" or "3,7,20-22". Raise ValueError."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds
