"""Mistakes in declarations are found at start, with an instruction."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import msgspec
import pytest

from agents import fulfilment, shipping
from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait
from larder.declaring.checks.declarations import Facts, TopicFacts, problems


class Customer(Row):
    customer_id: str
    country: str = ""
    revision: int = 0


class Order(Row):
    order_id: str
    customer_id: str
    number: int = 0
    amount: float = 0
    customer_uuid: uuid.UUID | None = None


class Shipment(Row):
    shipment_id: str


customers = OwnerTopic("shop.customers", Customer, key="customer_id", revision="revision", owner="crm")
orders = EventTopic("shop.orders", Order, key="order_id", owner="checkout")
results = EventTopic("shop.results", Order, key="order_id")
shipments = EventTopic("shop.shipments", Shipment, key="shipment_id")


def facts(policy: str = "delete", partitions: int = 4) -> TopicFacts:
    return TopicFacts(partitions, policy, 1_048_588, "id")


def said(*services: Service, known: Facts | None = None) -> str:
    return "\n".join(map(str, problems(services, known)))


def joined(
    source: Any = orders, table: Any = customers, field: str = "customer_id", **join: Any
) -> tuple[Service, Any]:
    service = Service("s")
    lookup = service.global_table(table).on(field, join.pop("embed", None))
    return service, service.join(source, lookup, **({"into": results} | join))


def of_topic(topic: Any) -> str:
    service = Service("s")
    service.agent(topic)(agent)
    return said(service)


async def agent(batches: AsyncIterator[Any]) -> None:
    """Do nothing."""


def test_the_shipped_services_have_no_problems() -> None:
    assert said(shipping.shipping, fulfilment.fulfilment) == ""


def test_all_problems_are_reported_once_and_together() -> None:
    topic = OwnerTopic("bad name", Customer, key="nope", revision="gone")
    one, other = Service("one"), Service("two")
    one.global_table(topic)
    other.global_table(topic)
    found = problems([one, other])
    assert len(found) == len(set(found)) == 3


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        (
            EventTopic("t", Order, key="nope"),
            'topic t: a key requires a field of Order; found "nope"; use one of order_id, customer_id, number',
        ),
        (
            OwnerTopic("t", Customer, key="customer_id", revision="version"),
            'topic t: a revision requires a field of Customer; found "version"; use one of customer_id',
        ),
        (
            OwnerTopic("t", Customer, key="customer_id", indexes=["country", "city"]),
            'topic t: an index requires a field of Customer; found "city"',
        ),
        (
            OwnerTopic("t", Customer, key="customer_id", indexes=["country", "country"]),
            'an index requires to be declared once; found "country" 2 times',
        ),
        (
            OwnerTopic("t", Customer, key="customer_id", revision="country"),
            "a revision requires a field of type int; found Customer.country: str",
        ),
        (
            EventTopic("t", Order, key="number"),
            "a key of type text requires a field of type str; found Order.number: int",
        ),
        (
            EventTopic("t", Order, key="order_id", key_type=int),
            "a key of type int64 requires a field of type int; found Order.order_id: str",
        ),
        (
            EventTopic("t", Order, key="customer_uuid", key_type=uuid.UUID),
            "a key of type uuid requires a field of type UUID; found Order.customer_uuid: uuid.UUID | None",
        ),
        (
            EventTopic("t", Order, key="amount", key_type=float),
            "key_type requires str, bytes, int or uuid.UUID; found float",
        ),
        (EventTopic("t", Order, key="order_id", partitions=0), "partitions requires a whole number"),
        (
            EventTopic("t", Order, key="order_id", retention=timedelta(0)),
            "retention requires a timedelta above zero; found 0:00:00",
        ),
        (
            EventTopic("t", Order, key="order_id", retention=5),  # type: ignore[arg-type]
            "retention requires a timedelta above zero; found 5",
        ),
        (
            EventTopic("t a", Order, key="order_id"),
            'requires 1 to 249 of the characters a-z A-Z 0-9 . _ -; found "t a" (3 characters)',
        ),
        (EventTopic("x" * 250, Order, key="order_id"), "(250 characters); choose another name"),
        (EventTopic("..", Order, key="order_id"), 'found ".."'),
    ],
)
def test_a_mistake_in_a_topic_is_reported(topic: Any, message: str) -> None:
    assert message in of_topic(topic)


def test_a_row_type_that_cannot_be_decoded_is_reported_with_its_cause() -> None:
    class Strange(Row):
        key: str
        thing: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    found = of_topic(EventTopic("t", Strange, key="key"))
    assert "a row type requires fields that can be read from a JSON object; found Strange with NameError" in found
    assert "no row type" in of_topic(EventTopic("t", dict, key="key"))  # type: ignore[arg-type]


def test_a_cause_on_a_compacted_topic_is_refused_with_the_reason() -> None:
    class Caused(Row):
        key: str
        cause: str

    found = of_topic(OwnerTopic("t", Caused, key="key"))
    assert "compaction and deduplication would lose causes" in found
    assert "declare it as EventTopic" in found
    assert of_topic(EventTopic("t", Caused, key="key")) == ""


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_an_owner_topic_that_is_not_compacted_is_refused(policy: str) -> None:
    service, _ = joined()
    assert (
        "topic shop.customers: an owner topic requires cleanup.policy=compact, which keeps every row; "
        f"found cleanup.policy={policy}" in said(service, known={"shop.customers": facts(policy)})
    )


def test_an_event_topic_that_is_compacted_is_refused() -> None:
    service, _ = joined()
    found = said(service, known={"shop.customers": facts("compact"), "shop.orders": facts("compact")})
    assert found.startswith("topic shop.orders: an event topic requires cleanup.policy=delete")
    assert "\n" not in found


def test_different_partition_counts_are_no_problem() -> None:
    service = Service("s")
    visits = EventTopic("shop.visits", Order, key="customer_id", partitions=3)
    service.join(visits, service.table(customers), into=results)
    known = {"shop.visits": facts(partitions=6), "shop.customers": facts("compact")}
    assert said(service) == said(service, known=known) == ""


def test_records_wait_in_as_many_partitions_as_their_source_has() -> None:
    service = Service("s")
    lookup = service.global_table(customers).on("customer_id")
    service.join(orders, lookup, into=results, missing=Wait(5).then(DeadLetter))
    known = {"shop.orders": facts(partitions=6), "s.shop.results.waiting": facts("compact", 6)}
    assert said(service, known=known) == ""
    found = said(service, known=known | {"s.shop.results.waiting": facts("compact", 4)})
    assert (
        "require 6 partitions in s.shop.results.waiting, as many as shop.orders has; found 4; add partitions" in found
    )


def test_waiting_records_of_keyed_partitions_get_no_advice_to_add_partitions() -> None:
    service = Service("s")
    service.join(orders.by("customer_id"), service.table(customers), into=results, missing=Wait(5).then(DeadLetter))
    rekeyed = {"shop.customers": facts("compact", 8), "s.shop.orders.by.customer_id": facts(partitions=8)}
    found = said(service, known=rekeyed | {"s.shop.results.waiting": facts("compact", 4)})
    assert "found 4; recreate the topic that has grown, with its former number of partitions" in found
    assert "add partitions to" not in found


def test_a_co_partitioned_table_cannot_be_an_input_of_its_service() -> None:
    service = Service("s")
    service.table(customers)
    products = OwnerTopic("products", Customer, key="customer_id")
    service.join(customers, service.global_table(products).on("customer_id", embed="product"), into=results)
    assert "found shop.customers as a table and as the source of a join or a decide; make the table global" in said(
        service
    )


def test_a_co_partitioned_table_is_looked_up_by_the_partitioning_field() -> None:
    service = Service("s")
    service.join(orders, service.table(customers).on("customer_id"), into=results)
    assert (
        'found .on("customer_id") where the source is partitioned by "order_id"; '
        'use shop.orders.by("customer_id"), or make shop.customers global'
    ) in said(service)


def test_a_global_table_requires_its_field() -> None:
    service = Service("s")
    service.join(orders, service.global_table(customers), into=results)
    assert 'found the table without .on; use .on("customer_id")' in said(service)


def test_unknown_fields_of_on_and_by_are_reported() -> None:
    assert 'join shop.orders with shop.customers: .on requires a field of Order; found "buyer"' in said(
        joined(field="buyer")[0]
    )
    service = Service("s")
    service.join(orders.by("buyer"), service.table(customers), into=results)
    assert '.by requires a field of Order; found "buyer"' in said(service)


def test_a_field_that_cannot_be_a_key_cannot_partition() -> None:
    found = said(joined(orders.by("amount"))[0])
    assert ".by requires a field of type str, bytes, int or UUID; found Order.amount: float" in found


@pytest.mark.parametrize(("field", "shown"), [("number", "int"), ("customer_uuid", "uuid.UUID | None")])
def test_a_lookup_field_requires_the_type_of_the_tables_key(field: str, shown: str) -> None:
    found = said(joined(field=field)[0])
    assert f"a key of shop.customers requires a field of type str; found Order.{field}: {shown}" in found


@pytest.mark.parametrize("name", ["order_id", "amount"])
def test_an_embedding_with_the_name_of_a_field_is_refused(name: str) -> None:
    found = said(joined(embed=name)[0])
    assert f'a row requires a name of its own in the result; found "{name}" for shop.customers' in found


def test_two_embeddings_of_one_name_are_refused() -> None:
    service = Service("s")
    table = service.global_table(customers)
    service.join(orders, [table.on("customer_id"), table.on("order_id")], into=results)
    assert 'found "customer" for shop.customers, which is taken; name it: .on("order_id", embed=' in said(service)


def test_a_join_without_tables_is_refused() -> None:
    service = Service("s")
    service.join(orders, [], into=results)
    assert "a join requires at least one table" in said(service)


def test_a_key_that_the_result_does_not_have_is_refused() -> None:
    found = said(joined(into=shipments)[0])
    assert 'the key of shop.shipments requires a field of the order; found "shipment_id"' in found
    service, join = joined(into=shipments)
    join(lambda order, customer: None)  # noqa: ARG005
    assert said(service) == ""


def test_a_field_of_the_result_that_nothing_gives_is_refused() -> None:
    class Described(Order):
        buyer: Customer
        note: str = ""

    into = EventTopic("described", Described, key="order_id")
    assert 'Described requires fields that the order or a table gives; found "buyer" in neither' in said(
        joined(into=into)[0]
    )
    assert said(joined(into=into, embed="buyer")[0]) == ""


class Bought(Order):
    customer: Customer


class Unsure(Order):
    customer: Annotated[Customer | None, msgspec.Meta(title="buyer")] = None


class Loose(Order):
    customer: Any


@pytest.mark.parametrize("missing", [PassOn, Wait(1).then(PassOn)])
def test_a_missing_row_that_is_passed_on_requires_a_field_that_accepts_null(missing: Any) -> None:
    found = said(joined(into=EventTopic("bought", Bought, key="order_id"), missing=missing)[0])
    assert found == (
        "join shop.orders into bought: missing=PassOn requires a field of Bought that may be null for each row; "
        "found Bought.customer: Customer; declare it as Customer | None, or choose another step than PassOn"
    )
    for row in (Unsure, Loose, Order):
        assert said(joined(into=EventTopic("bought", row, key="order_id"), missing=missing)[0]) == ""


def test_a_row_that_is_never_missing_need_not_accept_null() -> None:
    for missing in (Drop, DeadLetter, Wait(1).then(Drop)):
        assert said(joined(into=EventTopic("bought", Bought, key="order_id"), missing=missing)[0]) == ""


def test_a_key_of_the_result_requires_the_type_that_the_order_has() -> None:
    class Numbered(Row):
        order_id: int

    into = EventTopic("numbered", Numbered, key="order_id", key_type=int)
    assert "requires a field of the order of type int; found Order.order_id: str" in said(joined(into=into)[0])


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (Wait(30), "a Wait before one; found Wait(seconds=30, at_most=100000); write missing=DeadLetter"),
        ((PassOn, DeadLetter), "found PassOn, then DeadLetter"),
        (Wait(0).then(PassOn), "Wait requires seconds above zero and at_most from 1 on, both finite"),
        (Wait(float("inf")).then(PassOn), "found Wait(seconds=inf"),
        (Wait(float("nan")).then(PassOn), "found Wait(seconds=nan"),
        (Wait("30").then(PassOn), "found Wait(seconds='30'"),  # type: ignore[arg-type]
        (Wait(1, at_most=0).then(PassOn), "at_most=0"),
    ],
)
def test_invalid_steps_for_missing_partners_are_refused(missing: Any, message: str) -> None:
    assert message in said(joined(missing=missing)[0])


def test_a_table_requires_an_owner_topic() -> None:
    service = Service("s")
    service.global_table(orders)  # type: ignore[arg-type]
    assert "table shop.orders: a table requires an owner topic; found EventTopic" in said(service)


def test_a_table_of_another_service_is_refused() -> None:
    service = Service("s")
    service.join(orders, Service("other").global_table(customers).on("customer_id"), into=results)
    assert "a join requires tables of its own service; found a table of other in s" in said(service)


def test_duplicate_tables_joins_and_services_are_refused() -> None:
    service, _ = joined()
    table = service.global_table(customers)
    service.join(orders, table.on("customer_id"), into=results)
    found = said(service, Service("s"))
    assert "a table requires a topic of its own; found 2 declarations of table shop.customers" in found
    assert "a join requires a topic of its own; found 2 declarations of join shop.results" in found
    assert "service s: a service name requires one declaration; found 2 services" in found


def test_one_name_for_two_different_topics_is_refused() -> None:
    other = OwnerTopic("shop.customers", Customer, key="country", owner="crm", indexes=["country"])
    found = said(joined()[0], _of("other", other))
    assert "topic shop.customers: a topic name requires one declaration; found " in found
    assert "key 'customer_id' and 'country', revision 'revision' and None" in found


def test_an_event_topic_that_is_also_declared_as_owner_topic_is_refused() -> None:
    other = EventTopic("shop.customers", Customer, key="customer_id", owner="crm")
    service = Service("other")
    service.agent(other)(agent)
    assert "found OwnerTopic and EventTopic" in said(joined()[0], service)


def test_indexes_are_each_readers_own() -> None:
    indexed = OwnerTopic(
        "shop.customers", Customer, key="customer_id", revision="revision", owner="crm", indexes=["country"]
    )
    assert said(joined()[0], _of("other", indexed)) == ""


def _of(name: str, topic: OwnerTopic) -> Service:
    service = Service(name)
    service.global_table(topic)
    return service


def test_two_owners_of_a_topic_are_refused_naming_both() -> None:
    other = OwnerTopic("shop.customers", Customer, key="customer_id", revision="revision", owner="billing")
    found = said(joined()[0], _of("other", other))
    assert (
        "topic shop.customers: a topic requires one owner, the only service that writes it; found crm and billing"
        in found
    )


def test_two_services_that_publish_into_one_topic_are_refused_naming_both() -> None:
    other = Service("other")
    other.join(orders, other.global_table(customers).on("customer_id"), into=results)
    assert "topic shop.results: a topic requires one owner, the only service that writes it; found s and other" in said(
        joined()[0], other
    )


def test_a_follower_that_writes_is_refused() -> None:
    found = said(joined(into=orders)[0])
    assert "service s into shop.orders: only the owner of a topic writes it; found owner checkout" in found
    assert 'declare owner="s"' in found


def test_an_agent_beside_a_join_on_one_topic_is_refused() -> None:
    for source in (orders, orders.by("customer_id")):
        service, _ = joined(source)
        service.agent(orders)(agent)
        found = "found the agent agent and the source of a join or a decide on shop.orders"
        assert f"one loop reads each input partition; {found}" in said(service)


def test_two_agents_or_an_agent_and_a_partitioned_table_on_one_topic_are_refused() -> None:
    service = Service("s")
    service.table(customers)
    service.agent(customers)(agent)
    service.agent(orders)(agent)
    service.agent(orders)(agent)
    found = said(service)
    assert "the agent agent and a co-partitioned table on shop.customers" in found
    assert "the agent agent and the agent agent on shop.orders" in found


async def alone() -> None:
    """Take nothing."""


async def two(batches: Any, more: Any) -> None:
    """Take too much."""


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (lambda batches: batches, "<lambda>"),
        (alone, "alone() -> None"),
        (two, "two(batches: Any, more: Any) -> None"),
        ("no function", "'no function'"),
    ],
)
def test_an_agent_requires_an_async_function_of_one_parameter(function: Any, shown: str) -> None:
    service = Service("s")
    service.agent(orders)(function)
    assert f"an agent requires an async function of one parameter, its batches; found {shown}; write" in said(service)


def test_an_agent_may_have_optional_parameters() -> None:
    async def wide(batches: Any, *, clock: Any = None) -> None: ...

    service = Service("s")
    service.agent(orders)(wide)
    assert said(service) == ""


@pytest.mark.parametrize("tables", [customers, [customers], (orders.by("customer_id"),), [None, "customers"]])
def test_a_join_with_something_else_than_a_table_is_reported_with_all_problems(tables: Any) -> None:
    service = Service("s")
    service.join(orders, tables, into=results)
    service.agent(EventTopic("t", Order, key="nope"))(agent)
    found = said(service)
    several = tables if isinstance(tables, list | tuple) else [tables]
    shown = {
        customers: "OwnerTopic shop.customers",
        orders.by("customer_id"): 'Rekeyed shop.orders.by("customer_id")',
        None: "None",
        "customers": "'customers'",
    }
    for given in several:
        assert (
            "join shop.orders into shop.results: a join requires tables of its own service; "
            f"found {shown[given]}; declare one with global_table or table of s, and give its .on"
        ) in found
    assert 'topic t: a key requires a field of Order; found "nope"' in found


def test_a_join_requires_topics_on_both_sides() -> None:
    service = Service("s")
    table = service.table(customers)
    service.join(table, table, into=results)  # type: ignore[arg-type]
    service.join(orders, table.on("order_id"), into="results")  # type: ignore[arg-type]
    found = said(service)
    assert "a join requires a topic as its source; found TableUse shop.customers; give it an EventTopic" in found
    assert "join shop.orders into 'results': a join requires a topic for its results; found 'results'" in found


def test_rekeyed_rows_need_an_owner_topic_for_their_results() -> None:
    assert "rekeyed rows require an owner topic with their revision for their results" in said(
        joined(customers.by("country"))[0]
    )


@pytest.mark.parametrize("given", [Order, customers.by("country"), "shop.customers"])
def test_tables_and_agents_require_topics(given: Any) -> None:
    service = Service("s")
    service.join(orders, service.global_table(given).on("order_id"), into=results)
    service.agent(given)(agent)
    found = said(service)
    assert "a table requires an owner topic; found " in found
    assert "agent agent: an agent requires a topic; found " in found


@pytest.mark.parametrize("name", ["s.dead-letters", "s.shop.results.waiting", "s.shop.orders.by.customer_id"])
def test_a_declared_topic_with_the_name_of_an_internal_one_is_refused(name: str) -> None:
    service = Service("s")
    service.join(orders.by("customer_id"), service.table(customers), into=results, missing=Wait(5).then(DeadLetter))
    topic = EventTopic(name, Order, key="order_id")
    service.agent(topic)(agent)
    assert f"topic {name}: a topic that s names itself requires that name for it alone; found " in said(service)


def test_the_dead_letters_of_another_service_can_be_read() -> None:
    service = Service("s")
    service.agent(EventTopic("other.dead-letters", Order, key="order_id"))(agent)
    assert said(service, Service("other")) == ""


def test_names_of_internal_topics_are_checked_too() -> None:
    name = "x" * 240
    service = Service("a-service")
    long = EventTopic(name, Order, key="order_id")
    service.join(long.by("customer_id"), service.table(customers), into=results)
    assert f'"a-service.{name}.by.customer_id"' in said(service)


@pytest.mark.parametrize("name", ["", "my service", "../up", "a/b", ".", "..", ".hidden", "x" * 101, "café"])
def test_the_name_of_a_service_must_be_that_of_one_folder(name: str) -> None:
    service = Service(name)
    service.join(orders.by("customer_id"), service.table(customers), into=results)
    assert said(service) == (
        f"service {name}: a name requires 1 to 100 of the characters a-z A-Z 0-9 . _ -, the first of them no dot; "
        f'found "{name}" ({len(name)} characters); choose another name'
    )
    assert said(Service("x" * 100)) == said(Service("_A-1.b")) == ""


def with_function(function: Any, missing: Any = DeadLetter) -> str:
    service, join = joined(missing=missing)
    join(function)
    return said(service)


def test_functions_that_fit_have_no_problems() -> None:
    def typed(order: Order, customer: Customer) -> Order | None: ...
    def untyped(order, customer, *more): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
    def wide(order: Row, customer: Customer | None, extra: int = 1) -> Order: ...  # type: ignore[empty-body]
    def anything(order: Any, customer: object) -> Any: ...

    for function in (typed, untyped, wide, anything):
        assert with_function(function) == ""


def test_a_function_with_the_wrong_number_of_parameters_is_refused() -> None:
    def alone(order: Order) -> Order: ...  # type: ignore[empty-body]

    found = with_function(alone)
    assert "join shop.orders into shop.results, function alone: a join with 1 table requires" in found
    assert "2 parameters: the order and a row for each table; found alone(order: " in found


def test_a_function_with_other_types_is_refused() -> None:
    def swapped(customer: Customer, order: Order) -> Shipment: ...  # type: ignore[empty-body]

    found = with_function(swapped)
    assert "parameter customer requires the type Order; found Customer" in found
    assert "parameter order requires the type Customer; found Order" in found
    assert "the result requires the type Order | None; found Shipment" in found


def test_a_missing_row_that_is_passed_on_requires_a_parameter_that_accepts_none() -> None:
    def strict(order: Order, customer: Customer) -> Order: ...  # type: ignore[empty-body]

    found = with_function(strict, missing=Wait(1).then(PassOn))
    assert "parameter customer requires the type Customer | None; found Customer" in found


def test_annotations_that_cannot_be_resolved_are_reported() -> None:
    def lost(order: "Nowhere", customer: Customer) -> Order: ...  # type: ignore[name-defined, empty-body]  # noqa: F821

    assert "annotations that can be resolved; found NameError: name 'Nowhere' is not defined" in with_function(lost)


def test_an_async_function_of_a_join_is_refused() -> None:
    async def slow(order: Order, customer: Customer) -> Order: ...  # type: ignore[empty-body]

    assert "a join requires a pure function, written with def" in with_function(slow)


def test_two_bys_of_one_field_require_the_same_step_for_null() -> None:
    service = Service("s")
    table = service.table(customers)
    for topic, missing in (("shop.one", Drop), ("shop.two", DeadLetter)):
        service.join(orders.by("customer_id", missing=missing), table, into=EventTopic(topic, Order, key="order_id"))
    assert 'shop.orders.by("customer_id") with missing=DeadLetter and missing=Drop' in said(service)


def test_missing_of_by_requires_drop_or_dead_letter() -> None:
    service, _ = joined(orders.by("customer_id", missing=PassOn))
    assert "missing of .by requires Drop or DeadLetter; found PassOn" in said(service)
