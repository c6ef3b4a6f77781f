"""The same join in plain Faust: an agent that takes orders one by one, and a dictionary of rows.

A program of the peers' environment: `faust_join.py JOB` runs until a signal stops it. It reads the rows before Faust
starts, since its GlobalTable may never finish recovery, and a dictionary is faster than any of its stores. It splices
raw bytes like Larder, so that only Faust's handling of records is compared.
"""

import asyncio
import json
import sys
from pathlib import Path

import faust
import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

PARTITIONS = 4


def application(job: dict[str, str], rows: dict[bytes, bytes]) -> faust.App:
    """Declare the join. `rows` are the customers by key."""
    app = faust.App(
        job["name"],
        broker=f"kafka://{job['brokers']}",
        datadir=str(Path(job["directory"]) / "faust"),
        key_serializer="raw",
        value_serializer="raw",
        producer_acks=-1,
        broker_commit_interval=0.2,
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        topic_allow_declare=False,
    )
    head = b',"' + job["embed"].encode() + b'":'
    field = job["field"]
    into = app.topic(job["into"], key_type=bytes, value_type=bytes)

    @app.agent(app.topic(job["source"], key_type=bytes, value_type=bytes))
    async def join(orders: faust.Stream) -> None:
        async for event in orders.events():
            order = event.value
            row = rows[orjson.loads(order)[field].encode()]
            await into.send(key=event.key, value=order[:-1] + head + row + b"}")

    return app


async def read(job: dict[str, str]) -> dict[bytes, bytes]:
    """Read all rows of the table."""
    rows: dict[bytes, bytes] = {}
    partitions = [TopicPartition(job["table"], each) for each in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=job["brokers"], auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while sum(ends.values()) > len(rows):  # each key occurs once
            for records in (await consumer.getmany(timeout_ms=100)).values():
                rows.update((record.key, record.value) for record in records)
    finally:
        await consumer.stop()
    return rows


def main(job: dict[str, str]) -> None:
    """Run until a signal comes."""
    rows = asyncio.run(read(job))
    asyncio.set_event_loop(asyncio.new_event_loop())
    sys.argv = [
        "faust",
        "--datadir",
        str(Path(job["directory"]) / "faust"),
        "worker",
        "--without-web",
        "--loglevel=warn",
    ]
    application(job, rows).main()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
