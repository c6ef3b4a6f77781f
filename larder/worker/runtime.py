"""The state that lives as long as its worker, through every loss of broker and group."""

from __future__ import annotations

from collections.abc import Callable

from larder.assembly.memo import Memo
from larder.counters.counts import Counts
from larder.counters.operator_counts import AgentCounts
from larder.counters.traffic import Traffic
from larder.declaring.facts import input_name
from larder.declaring.service import Service
from larder.declaring.topics import Rekeyed
from larder.local_tables.table import LocalTable
from larder.operators.user_agents import Feed
from larder.store.storage.memory import Memory
from larder.worker.options import Options


class Runtime:
    """One service in this process: its tables by topic, its counts, and its memo between runs.

    `clock` returns seconds since the epoch. `reached` is called with the name of each step at which the process could
    end with work half done. Tests end it there.
    """

    def __init__(
        self,
        service: Service,
        options: Options,
        memory: Memory,
        clock: Callable[[], float],
        reached: Callable[[str], None],
    ) -> None:
        self.service = service
        self.options = options
        self.memory = memory
        self.clock = clock
        self.reached = reached
        self.directory = options.directory / service.name / options.worker
        self.transactional_id = f"{service.name}.{options.worker}"
        self.memo = Memo(self.directory / "worker.json")
        rekeyed = [input_name(service, each) for each in service.sources if isinstance(each, Rekeyed)]
        self.counts = Counts(service.operators, rekeyed, clock)
        self.traffic = Traffic()
        self.feeds = {each.topic.name: Feed(self.counts.of(each, AgentCounts)) for each in service.agents}
        self.tables: dict[str, LocalTable] = {}
