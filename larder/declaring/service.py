"""A service as a value: its name, its tables, and its operators in the order of declaration.

This is the only description of a service. Topic creation, checks, pages and workers read it, and none of them keeps
a second list. Declaring a service starts nothing and raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from larder.declaring.agents import AgentDeclaration, AgentFunction
from larder.declaring.calls import Call, GaveUp, OnlyWhile, Retry, Unknown
from larder.declaring.decides import Decide
from larder.declaring.decisions import Refusal, refusals_name
from larder.declaring.joins import Join
from larder.declaring.missing import DeadLetter, Missing, steps
from larder.declaring.operators import Operator, Role, Topic
from larder.declaring.predicates import Predicate
from larder.declaring.reactions import Reaction
from larder.declaring.requests import Request
from larder.declaring.sources import Lookup, RemoteTable, Source, TableUse, lookups, several
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.generations import Generation

Agent = TypeVar("Agent", bound=AgentFunction)
Kind = TypeVar("Kind", bound=Operator)


class Service:
    """An application group: one name, one consumer group, any number of workers.

    name        the name of the service and of its consumer group, and the prefix of its
                internal topics. Never change it: Kafka keeps the progress under it.
    partitions  the number of partitions in which it processes what it joins or decides
                by partition. By default that of the topics that meet. Topics with
                another number pass through internal topics with this one.
    headers     the names of headers that go along, from each record to what is made from
                it, and from each request. The header `traceparent` always does.
    context     the name of its context: services that are developed and released together.
                In their calls, they may read one another's tables over HTTP; services of
                other contexts share only topics.

    Declare each service in its own file; `larder worker <name>` runs it.

    >>> shipping = Service("shipping")
    >>> customers = shipping.global_table(shop.customers)
    >>> shipping.join(shop.orders, customers.on("customer_id"),
    ...               into=shop.enriched_orders)
    """

    def __init__(
        self, name: str, *, partitions: int | None = None, headers: Sequence[str] = (), context: str | None = None
    ) -> None:
        """Start without declarations."""
        self.name = name
        self.partitions = partitions
        self.headers = headers
        self.context = context
        self.counts: Mapping[str, int] = {}
        """The partition counts of internal topics, in the service as its workers run it."""
        self.generation: Generation | None = None
        """How it places its records, in the service as its workers run it."""
        self.kept: list[TableUse] = []
        """Tables that workers read from their own topics besides: for reactions, and until a mirror is filled."""
        self.answering: Collection[str] = ()
        """The names of those tables among them from which workers answer."""
        self.tables: list[TableUse] = []
        self.operators: list[Operator] = []
        self.predicates: list[Predicate] = []

    def __repr__(self) -> str:
        """Show the name."""
        return f"Service({self.name!r})"

    def global_table(self, topic: OwnerTopic) -> TableUse:
        """Keep all rows of a topic in every worker; records can look them up by any field."""
        return self._table(TableUse(self.name, topic, "global", self.context))

    def table(self, topic: OwnerTopic) -> TableUse:
        """Keep in each worker the rows of the partitions that it processes.

        A source that is joined with this table needs the same partitioning: the same key
        and the same number of partitions. `.by` on the source provides both.
        """
        return self._table(TableUse(self.name, topic, "partition", self.context))

    def join(
        self,
        source: Source,
        tables: TableUse | Lookup | Sequence[TableUse | Lookup],
        *,
        into: EventTopic | OwnerTopic,
        missing: Missing = DeadLetter,
    ) -> Join:
        """Join each record of `source` with its rows, and publish the result to a topic.

        source    the records: an event topic, an owner topic, or `orders.by(field)`.
        tables    one or more `table.on(field)`. A co-partitioned table may come without
                  `.on`; it is then looked up by the field that partitions the source.
        into      the topic of the results, which this service owns.
        missing   what to do with a record if one of its rows is missing, or the field to
                  look up by is null: `DeadLetter`, `PassOn`, `Drop`, or
                  `Wait(...).then(...)`.

        The result is the record's own JSON with each row added under its name. For any
        other result, decorate a pure function. It gets the record and the rows in the
        order of `tables` (None for a missing row that is passed on). It returns a row of
        `into`, or None for no result. If it raises, the record becomes a dead letter.

        >>> @shipping.join(shop.orders, customers.on("customer_id"), into=shipments)
        ... def shipment(order: Order, customer: Customer) -> Shipment | None: ...

        The key of the result is its field `into.key`. A record also becomes a dead letter
        if it has no value, cannot be read, or lacks a key that is needed.
        """
        return self.add(Join(source, lookups(source, tables), into, steps(missing)))

    def decide(
        self,
        inputs: Source | Sequence[Source],
        *,
        state: TableUse,
        into: EventTopic | OwnerTopic | Sequence[EventTopic | OwnerTopic] = (),
    ) -> Decide:
        """Change the rows of a table that this service owns, event by event, with a pure function.

        inputs    event topics, or `events.by(field)`, partitioned by the key of `state`.
        state     a co-partitioned table (`table`) whose topic this service owns. The
                  service is its only writer; all other services may read it.
        into      topics for emitted events, each with its own row type.

        The function gets the event and the row of its key (None if there is none). It may
        take a third parameter, `near`, to read other rows of the same partition. It
        returns a `Decision`, or None to do nothing. The rows, events, refusal and wake-ups
        of a decision are published together with the progress of the input, or not at all.
        The function may set wake-ups if its first parameter has `WakeUp` among its types.
        If it raises, the event becomes a dead letter.

        >>> levels = stock.table(shop.stock_levels)
        >>> @stock.decide(shop.requests.by("product_id"), state=levels, into=shop.reserved)
        ... def reserve(request: Request, level: StockLevel | None) -> Decision: ...
        """
        return self.add(Decide(several(inputs), state, several(into)))

    def fold(self, inputs: Source | Sequence[Source], *, state: TableUse) -> Decide:
        """Aggregate the events of each key in a row: a decide that emits nothing.

        The function gets an event and the row, and returns the new row, `Delete(key)`, or
        None to leave the row unchanged.

        >>> @stock.fold(shop.deliveries, state=levels)
        ... def level(delivery: Delivery, level: StockLevel | None) -> StockLevel: ...
        """
        return self.add(Decide(several(inputs), state, folds=True))

    def request(
        self,
        address: str,
        *,
        state: TableUse,
        into: EventTopic | OwnerTopic | Sequence[EventTopic | OwnerTopic] = (),
        scope: str = "",
    ) -> Request:
        """Let clients change the rows of a table that this service owns, over HTTP, with a pure function.

        address   `POST` and a path; a part in braces is a field of the request.
        state     a co-partitioned table (`table`) whose topic this service owns. It may have
                  a decide as well: both see each other's rows.
        into      topics for emitted events, each with its own row type.
        scope     a field of the request, such as a tenant: an `Idempotency-Key` counts
                  for each of its values.

        The function gets the request, whose type is that of its first parameter, and the row
        of its key (None if there is none); `near` as in a decide. It returns a `Decision`.
        Any worker takes the request. It is decided where the row lies, and answered once the
        decision is committed: with the new row, or with the reason of a refusal. With an
        `Idempotency-Key`, a request counts once in 24 hours, and gets its first answer again.

        >>> orders = checkout.table(shop.orders)
        >>> @checkout.request("POST /orders", state=orders, into=shop.order_events)
        ... def place(request: NewOrder, order: Order | None) -> Decision: ...
        """
        return self.add(Request((), state, several(into), address=address, scope=scope))

    def predicate(self, table: TableUse) -> Predicate:
        """Let clients wait over HTTP until a row of `table` satisfies a pure function.

        Clients ask for it by the function's name. Of several changes that come together, the function sees only the
        last one. So once it is true of a row, it has to stay true: `paid` means "paid, shipped or refunded".

        >>> @checkout.predicate(orders)
        ... def settled(order: Order) -> bool:
        ...     return order.state in {"confirmed", "rejected"}
        """
        predicate = Predicate(table)
        self.predicates.append(predicate)
        return predicate

    def call(  # noqa: PLR0913 - what a person on call at night wants to set
        self,
        source: Source,
        *,
        into: EventTopic | Sequence[EventTopic] = (),
        key: Callable[[Any], str] | None = None,
        timeout: float = 10.0,
        retry: Retry | None = None,
        at_once: int = 50,
        threads: int = 0,
        ordered: bool = True,
        only_while: tuple[TableUse, Callable[[Any], bool]] | None = None,
        otherwise: Callable[[Any, GaveUp], Any] | None = None,
        unknown: Unknown = "retry",
        outages: Sequence[type[Exception]] = (),
        at_most: int = 10_000,
        reads: Sequence[RemoteTable] = (),
        name: str = "",
    ) -> Call:
        """Call something outside for each event, with an async function, while other events go on.

        source      an event topic, or `events.by(field)`.
        into        topics for the events that the function returns, each with its own row
                    type.
        key         the idempotency key of an event, as text; the default is made of the
                    topic's id and the event's partition and offset.
        timeout     seconds for one attempt.
        retry       when a call that failed is tried again, and when it is given up.
        at_once     how many calls a worker makes at the same time.
        threads     0 for an async function; for a plain one, how many threads may run it.
        ordered     the calls for one key are made one after the other, in the order of the
                    events; with False, all at the same time.
        only_while  a table and a predicate: an attempt begins only while the row of the
                    event's key satisfies it. Until then the call waits, within `retry.within`.
        otherwise   a pure function of the event and a `GaveUp`. Its event is published when
                    the call is given up. Without it, the event becomes a dead letter.
        unknown     what to do if a worker died in an attempt, and nobody knows the outcome:
                    "retry" with the same key, or "dead-letter" for another side that has no
                    idempotency keys.
        outages     errors, besides `Unavailable`, time-outs and those of connections, that mean
                    that the other side is down. They are retried without a limit but
                    `retry.within`. After several of them a worker calls no more until a
                    trial call succeeds.
        at_most     how many calls may wait in a partition before its events have to wait.
        reads       tables of services in the same context, as `table.remote(...)`. The function
                    reads their rows with `await attempt.get(table, key)`.
        name        the name that its topics have, instead of that of the function. Give the old
                    one when you rename a function: calls may wait under it.

        The function gets the event and an `Attempt`. It returns one event, several, or None.
        Each attempt is written down before it begins, and its outcome is a record. So a call
        is made twice only if a worker dies or hangs during an attempt, or an attempt fails.
        The result is published exactly once.

        >>> @payments.call(orders, into=paid, key=lambda order: order.order_id, timeout=2.0)
        ... async def charge(order: Order, attempt: Attempt) -> Payment: ...
        """
        only = only_while if only_while is None else OnlyWhile(*only_while)
        call = Call(
            source, several(into), key, timeout, Retry() if retry is None else retry, at_once, threads, ordered, only,
            otherwise, unknown, tuple(outages), at_most, several(reads), name,
        )  # fmt: skip
        return self.add(call)

    @property
    def refusals(self) -> EventTopic:
        """The topic of the refusals of this service's decides."""
        return EventTopic(refusals_name(self.name), Refusal, key="key", owner=self.name)

    @property
    def has_state(self) -> bool:
        """Whether the service has rows that depend on their former values, so that each event must count only once."""
        return bool(self.decides or self.calls) or any(each.of_rows for each in self.rekeyed)

    @property
    def joins(self) -> list[Join]:
        """The joins, in the order of declaration."""
        return [each for each in self.operators if isinstance(each, Join)]

    @property
    def decides(self) -> list[Decide]:
        """The decides, including folds, in the order of declaration."""
        return [each for each in self.operators if isinstance(each, Decide)]

    @property
    def requests(self) -> list[Request]:
        """The requests, which are decides as well, in the order of declaration."""
        return [each for each in self.operators if isinstance(each, Request)]

    def woken(self, state: TableUse) -> Decide | None:
        """Return the decide that is called for the wake-ups of a state, also for those that its requests set."""
        return next((each for each in self.decides if each.state == state and each.wakes), None)

    @property
    def reactions(self) -> list[Reaction]:
        """The reactions, in the order of declaration."""
        return [each for each in self.operators if isinstance(each, Reaction)]

    @property
    def calls(self) -> list[Call]:
        """The calls, in the order of declaration."""
        return [each for each in self.operators if isinstance(each, Call)]

    @property
    def agents(self) -> list[AgentDeclaration]:
        """The agents, in the order of declaration."""
        return [each for each in self.operators if isinstance(each, AgentDeclaration)]

    @property
    def sources(self) -> Iterator[Source]:
        """The sources whose dead letters can be replayed."""
        for operator in self.operators:
            if operator.reads_as is Role.SOURCE:
                yield from operator.reads()

    @property
    def rekeyed(self) -> list[Rekeyed]:
        """What the service passes to internal topics, each once: sources of `.by`, and what it has to place itself."""
        sources = [each for each in self.sources if isinstance(each, Rekeyed)]
        mirrors = [table.mirror for table in self.tables if table.mirrored]
        return list({each.name_in(self.name): each for each in (*mirrors, *sources)}.values())

    @property
    def written(self) -> Iterator[Topic]:
        """The declared topics that operators write to."""
        for operator in self.operators:
            yield from operator.writes()

    @property
    def asked(self) -> Iterator[RemoteTable]:
        """The tables whose rows its calls read from the workers of other services."""
        for operator in self.operators:
            yield from operator.asks()

    def add(self, operator: Kind) -> Kind:
        """Declare an operator of any kind."""
        self.operators.append(operator)
        return operator

    def on_change(self, table: TableUse, *, into: EventTopic | Sequence[EventTopic] = ()) -> Reaction:
        """React to each change of a row with a function of the old and the new row.

        table   the table of the rows. If it is co-partitioned, one worker reacts to each
                change. If it is global, every worker does, and none may emit events.
        into    topics for emitted events, each with its own row type.

        The function gets the row before and after the change (None if there is none), and
        returns one event, several, or None. Its events are published exactly once. Its
        side effects happen at least once: a crash may repeat them. If it raises, the
        record becomes a dead letter (for a global table, a line in the log), and the row
        changes anyway. A new reaction gets every existing row as a new one.

        After a rebuild of the store, `UNKNOWN` stands for an old row that is no longer in
        the topic.

        >>> @crm.on_change(customers, into=shop.moves)
        ... def moved(old: Customer | Unknown | None, new: Customer | None) -> Move | None: ...
        """
        return self.add(Reaction(table, several(into)))

    def agent(self, topic: EventTopic | OwnerTopic) -> Callable[[Agent], Agent]:
        """Process the batches of a topic with your own code: a plain Faust agent.

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
