"""The state that lives as long as its worker, through every loss of broker and group."""

from __future__ import annotations

from collections.abc import Callable

from larder.assembly.memo import Memo
from larder.counters.counts import Counts
from larder.counters.operator_counts import AgentCounts
from larder.counters.rekey_counts import RekeyCounts
from larder.counters.traffic import Traffic
from larder.declaring.generations import placed
from larder.declaring.service import Service
from larder.local_tables.table import LocalTable
from larder.operators.calls.remote_rows import FetchRow
from larder.operators.decides.requests import RequestDesk
from larder.operators.user_agents import Feed
from larder.store.storage.memory import Memory
from larder.worker.callers import Callers
from larder.worker.options import Options


class Runtime:
    """One service in this process: its tables, its counts, and its memo between runs.

    `declared` is the service as the user wrote it, `service` as its workers run it. `tables` has the tables by the
    topic from which they are read, `named` by the name that the user knows. `clock` returns seconds since the epoch.
    `reached` is called with the name of each step at which the process could end with work half done. Tests end it
    there. `fetch` reads rows of other services' tables, for calls.
    """

    def __init__(
        self,
        service: Service,
        options: Options,
        memory: Memory,
        clock: Callable[[], float],
        reached: Callable[[str], None],
        fetch: FetchRow,
    ) -> None:
        self.options = options
        self.memory = memory
        self.clock = clock
        self.reached = reached
        self.directory = options.directory / service.name / options.worker
        self.transactional_id = f"{service.name}.{options.worker}"
        self.memo = Memo(self.directory / "worker.json")
        self.declared = service
        self.counts = Counts(service.operators, clock=clock)
        self.place(service if self.memo.generation is None else placed(service, self.memo.generation))
        self.traffic = Traffic()
        self.requests = RequestDesk()
        self.callers = Callers(options.connection, options.worker, clock, fetch)
        self.feeds = {each.topic.name: Feed(self.counts.of(each, AgentCounts)) for each in service.agents}
        self.tables: dict[str, LocalTable] = {}
        self.named: dict[str, LocalTable] = {}

    def place(self, service: Service) -> None:
        """Set the service as its workers run it."""
        self.service = service
        for each in service.rekeyed:
            self.counts.rekeyings.setdefault(each.name_in(service.name), RekeyCounts())
