"""A service as a value: its name, its tables, and its operators in the order in which they were declared.

This is the whole of what a service is; topic creation, checks, pages and the worker
read it, and none keeps a second list. Declaring starts nothing and raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from larder.declaring.agents import AgentDeclaration, AgentFunction
from larder.declaring.decides import Decide
from larder.declaring.decisions import Refusal, refusals_name
from larder.declaring.joins import Join
from larder.declaring.missing import DeadLetter, Missing, steps
from larder.declaring.operators import Operator, Role, Topic
from larder.declaring.reactions import Reaction
from larder.declaring.sources import Lookup, Source, TableUse, lookups, several
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

Agent = TypeVar("Agent", bound=AgentFunction)
Kind = TypeVar("Kind", bound=Operator)


class Service:
    """An application group: one name, one consumer group, any number of workers.

    name   of the service, of its consumer group, and the beginning of the names of its
           internal topics. It should stay the same for ever: progress is kept under it.

    Declare a service in a file of its own; `larder worker <name>` runs it.

    >>> shipping = Service("shipping")
    >>> customers = shipping.global_table(shop.customers)
    >>> shipping.join(shop.orders, customers.on("customer_id"),
    ...               into=shop.enriched_orders)
    """

    def __init__(self, name: str) -> None:
        """Start with nothing declared."""
        self.name = name
        self.tables: list[TableUse] = []
        self.operators: list[Operator] = []

    def __repr__(self) -> str:
        """Show the name."""
        return f"Service({self.name!r})"

    def global_table(self, topic: OwnerTopic) -> TableUse:
        """Hold all rows of a topic in every worker; any field can look into it."""
        return self._table(TableUse(self.name, topic, "global"))

    def table(self, topic: OwnerTopic) -> TableUse:
        """Hold the rows of those partitions that a worker also processes.

        A source that is joined with it has to be partitioned by the same key, into
        the same number of partitions; `.by` on the source sees to that.
        """
        return self._table(TableUse(self.name, topic, "partition"))

    def join(
        self,
        source: Source,
        tables: TableUse | Lookup | Sequence[TableUse | Lookup],
        *,
        into: EventTopic | OwnerTopic,
        missing: Missing = DeadLetter,
    ) -> Join:
        """Send each record of `source`, with the rows that belong to it, into a topic.

        source    the records: an event topic, an owner topic, or `orders.by(field)`.
        tables    one or several of `table.on(field)`; a co-partitioned table may come
                  by itself, and is looked up by what the source is partitioned by.
        into      the topic of the results, which this service owns.
        missing   what becomes of a record if any of its rows is missing, or the field
                  is null: `DeadLetter`, `PassOn`, `Drop`, or `Wait(...).then(...)`.

        The result is the record's own JSON with each row under its name. Where that
        is not enough, decorate a pure function: it gets the record and the rows, in
        the order of `tables` (None for one that is missing and passed on), and gives
        a row of `into`, or None for no result. An exception that it raises parks the
        record as a dead letter.

        >>> @shipping.join(shop.orders, customers.on("customer_id"), into=shipments)
        ... def shipment(order: Order, customer: Customer) -> Shipment | None: ...

        The key of the result is its field `into.key`. A record without a value, with
        one that cannot be read, or without the key that is needed, goes to the dead
        letters.
        """
        return self.add(Join(source, lookups(source, tables), into, steps(missing)))

    def decide(
        self,
        inputs: Source | Sequence[Source],
        *,
        state: TableUse,
        into: EventTopic | OwnerTopic | Sequence[EventTopic | OwnerTopic] = (),
    ) -> Decide:
        """Change the rows of a table of this service's own, event by event, with a pure function.

        inputs    event topics, or `events.by(field)`, partitioned by the key of `state`.
        state     a co-partitioned table (`table`) whose topic this service owns: it
                  becomes its only writer, and every other service may follow it.
        into      topics for what is emitted, each with a row type of its own.

        The function gets the event and the row of its key (None when there is none), and
        may take a third parameter, `near`, through which it reads other rows of the same
        partition. It gives a `Decision`, or None for nothing. Rows, events, a refusal and
        wake-ups of a decision are published together with the progress of the input, or
        not at all. With `WakeUp` among the types of its first parameter it may ask to be
        woken. An exception that it raises parks the event as a dead letter.

        >>> levels = stock.table(shop.stock_levels)
        >>> @stock.decide(shop.requests.by("product_id"), state=levels, into=shop.reserved)
        ... def reserve(request: Request, level: StockLevel | None) -> Decision: ...
        """
        return self.add(Decide(several(inputs), state, several(into)))

    def fold(self, inputs: Source | Sequence[Source], *, state: TableUse) -> Decide:
        """Keep in a row what the events of its key come to: a decide that emits nothing.

        The function gets an event and the row, and gives the new row, `Delete(key)`, or
        None to leave it as it is.

        >>> @stock.fold(shop.deliveries, state=levels)
        ... def level(delivery: Delivery, level: StockLevel | None) -> StockLevel: ...
        """
        return self.add(Decide(several(inputs), state, folds=True))

    @property
    def refusals(self) -> EventTopic:
        """The events of this service that say what its decides refused, and why."""
        return EventTopic(refusals_name(self.name), Refusal, key="key", owner=self.name)

    @property
    def has_state(self) -> bool:
        """Whether it keeps rows whose next value depends on the one before, so that each event may count only once."""
        return bool(self.decides) or any(isinstance(source, Rekeyed) and source.of_rows for source in self.sources)

    @property
    def joins(self) -> list[Join]:
        """The joins, as they were declared."""
        return [each for each in self.operators if isinstance(each, Join)]

    @property
    def decides(self) -> list[Decide]:
        """The decides, folds among them, as they were declared."""
        return [each for each in self.operators if isinstance(each, Decide)]

    @property
    def reactions(self) -> list[Reaction]:
        """The reactions, as they were declared."""
        return [each for each in self.operators if isinstance(each, Reaction)]

    @property
    def agents(self) -> list[AgentDeclaration]:
        """The agents, as they were declared."""
        return [each for each in self.operators if isinstance(each, AgentDeclaration)]

    @property
    def sources(self) -> Iterator[Source]:
        """What operators read whose dead letters can be replayed."""
        for operator in self.operators:
            if operator.reads_as is Role.SOURCE:
                yield from operator.reads()

    @property
    def written(self) -> Iterator[Topic]:
        """The declared topics that operators write."""
        for operator in self.operators:
            yield from operator.writes()

    def add(self, operator: Kind) -> Kind:
        """Declare an operator of any kind."""
        self.operators.append(operator)
        return operator

    def on_change(self, table: TableUse, *, into: EventTopic | Sequence[EventTopic] = ()) -> Reaction:
        """React to each change of a table's row with a function: of the old row, and the new one.

        table   co-partitioned: one worker reacts to a change. Global: each worker does,
                and there is nothing to emit.
        into    topics for what the function gives, each with a row type of its own.

        The function gets the row before the change and after it, None where there is
        none, and gives an event, several, or None. What it gives is published exactly
        once. What it does besides is done at least once: again after a crash. An
        exception that it raises parks the record as a dead letter (on a global table it
        is told in the log); the row changes all the same. A reaction that is new sees
        each row as a new one.

        After a store was rebuilt, `UNKNOWN` is in the place of an old row that the topic
        no longer has.

        >>> @crm.on_change(customers, into=shop.moves)
        ... def moved(old: Customer | Unknown | None, new: Customer | None) -> Move | None: ...
        """
        return self.add(Reaction(table, several(into)))

    def agent(self, topic: EventTopic | OwnerTopic) -> Callable[[Agent], Agent]:
        """Handle the batches of a topic with code of your own: a plain Faust agent.

        >>> @shipping.agent(shop.orders)
        ... async def audit(batches):
        ...     async for batch in batches:
        ...         ...
        """

        def declare(function: Agent) -> Agent:
            self.add(AgentDeclaration(topic, function))
            return function

        return declare

    def _table(self, use: TableUse) -> TableUse:
        self.tables.append(use)
        return use
