"""System 1, distributed read models: one owner of each topic, and followers that only read."""

from __future__ import annotations

from pathlib import Path

import pytest

from larder import OwnerTopic, Row, Service
from tests.scenarios.conftest import Start
from tests.support.topics import COMPACTED, create, ends, send, until_count
from tests.support.workers import larder

COUNTING = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Product(Row):
        product_id: str

    class Count(Row):
        product_id: str

    class Stock(Row):
        product_id: str
        by: str

    products = OwnerTopic("{p}.products", Product, key="product_id", owner="catalogue")
    counts = EventTopic("{p}.counts", Count, key="product_id", owner="warehouse")
    stock = OwnerTopic("{p}.stock", Stock, key="product_id", partitions=1{owner})

    service = Service("{p}.{name}")

    @service.join(counts, service.global_table(products).on("product_id"), into=stock)
    def counted(count: Count, product: Product) -> Stock:
        return Stock(product_id=count.product_id, by="{name}")
"""

FOLLOWING = """
    from larder import OwnerTopic, Row, Service

    class Stock(Row):
        product_id: str
        by: str

    follower = Service("{p}.following")
    follower.global_table(OwnerTopic("{p}.stock", Stock, key="product_id"{owner}))
"""


@pytest.fixture
async def shop(kafka: str, prefix: str) -> str:
    """Return the prefix of topics of products and counts, with a record each."""
    await create(kafka, {f"{prefix}.products": 1}, COMPACTED)
    await create(kafka, {f"{prefix}.counts": 1})
    await send(kafka, f"{prefix}.products", [("p1", {"product_id": "p1"})])
    await send(kafka, f"{prefix}.counts", [("p1", {"product_id": "p1"})])
    return prefix


def counting(shop: str, name: str, owner: str = "") -> str:
    return COUNTING.format(p=shop, name=name, owner=owner and f', owner="{owner}"')


@pytest.mark.scenario("1.4")
async def test_a_second_owner_of_a_topic_is_refused_at_start_naming_both(
    kafka: str, shop: str, start: Start, tmp_path: Path
) -> None:
    """Two independent programs, the second one written later."""
    first, second = counting(shop, "keeping"), counting(shop, "selling")
    start(first, f"{shop}.keeping").until_running()
    refused = start(second, f"{shop}.selling", "late")
    assert refused.exit_code() == 2
    assert (
        f"larder: service {shop}.selling, owner of {shop}.stock: a topic requires one owner, the only service that"
        f" writes it; found {shop}.keeping, which has claimed it since 20"
    ) in refused.text
    assert "Traceback" not in refused.text
    start(first, f"{shop}.keeping", "two").until_logged("keeping: running")
    assert [row["by"] for row in await until_count(kafka, f"{shop}.stock", 1)] == ["keeping"]
    released = larder("topics", "--release", f"{shop}.stock", kafka=kafka, directory=tmp_path, module=second)
    assert released.returncode == 2
    found = f"found {shop}.keeping.one, {shop}.keeping.two in the group of {shop}.keeping, which writes it"
    assert found in released.stderr


@pytest.mark.scenario("1.4")
async def test_a_released_topic_can_get_another_owner(kafka: str, shop: str, start: Start, tmp_path: Path) -> None:
    before, after = counting(shop, "keeping"), counting(shop, "selling")
    owner = start(before, f"{shop}.keeping")
    owner.until_running()
    owner.stop()
    assert start(after, f"{shop}.selling").exit_code() == 2
    released = larder("topics", "--release", f"{shop}.stock", kafka=kafka, directory=tmp_path, module=after)
    assert released.stdout.startswith(f"{shop}.keeping no longer owns {shop}.stock"), released.stderr
    start(after, f"{shop}.selling", "again").until_running()
    assert start(before, f"{shop}.keeping", "again").exit_code() == 2
    nothing = larder("topics", "--release", f"{shop}.stocks", kafka=kafka, directory=tmp_path, module=after)
    assert (nothing.returncode, "requires a claim to release; found none" in nothing.stderr) == (2, True)


@pytest.mark.scenario("1.4")
async def test_a_follower_cannot_write_to_a_followed_table(kafka: str, shop: str, start: Start, tmp_path: Path) -> None:
    """Not by a join into it, by the methods of a declared table, over HTTP, or with a command."""
    refused = start(counting(shop, "selling", owner=f"{shop}.keeping"), f"{shop}.selling")
    assert refused.exit_code() == 2
    said = f"service {shop}.selling into {shop}.stock: only the owner of a topic writes it; found owner {shop}.keeping"
    assert said in refused.text

    use = Service("following").global_table(OwnerTopic("stock", Row, key="product_id"))
    assert {name for name in dir(use) if not name.startswith("_")} == {
        *("service", "context", "topic", "held", "name", "on", "remote"),
        *("build", "generation", "read_from", "mirror", "mirrored"),
    }

    start(counting(shop, "keeping"), f"{shop}.keeping").until_running()
    await until_count(kafka, f"{shop}.stock", 1)
    before = await ends(kafka, f"{shop}.stock")
    following = FOLLOWING.format(p=shop, owner="")
    follower = start(following, f"{shop}.following")
    follower.until(lambda status: status["tables"][0]["rows"] == 1, what="the row")
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        assert (follower.get(f"/tables/{shop}.stock/rows/p1", method) or (0,))[0] == 405, method
    for arguments in ((), ("--as", f"{shop}.following")):
        publish = ("publish", f"{shop}.stock", '{"product_id": "p1", "by": "hand"}', *arguments)
        ended = larder(*publish, kafka=kafka, directory=tmp_path, module=following)
        assert ended.returncode == 2
        assert f"topic {shop}.stock: only its owner {shop}.keeping may write it" in ended.stderr
    assert await ends(kafka, f"{shop}.stock") == before


@pytest.mark.scenario("1.4")
async def test_publishing_as_a_service_warns_that_its_workers_write_the_topic_too(
    kafka: str, shop: str, start: Start, tmp_path: Path
) -> None:
    owner = f"{shop}.keeping"
    start(counting(shop, "keeping"), owner).until_running()
    following = FOLLOWING.format(p=shop, owner=f', owner="{owner}"')
    publish = ("publish", f"{shop}.stock", '{"product_id": "p9", "by": "hand"}', "--as", owner)
    ended = larder(*publish, kafka=kafka, directory=tmp_path, module=following)
    assert ended.returncode == 0
    said = f"larder: topic {shop}.stock: requires a single writer; found a claim of {owner}, whose workers write it"
    assert ended.stderr.startswith(said)
