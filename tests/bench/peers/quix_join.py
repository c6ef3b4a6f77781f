"""The same join in Quix Streams: `join_asof`, its join of a stream with a table, over co-partitioned topics.

A program of the peers' environment: `quix_join.py JOB` runs until a signal stops it. The settings are the defaults of
Quix, except for the offset reset and the commit interval, which is the same for all. It decodes and encodes rows and
orders as Quix does by default, since its state cannot hold raw bytes.
"""

import json
import sys
from datetime import timedelta

from quixstreams import Application


def main(job: dict[str, str]) -> None:
    """Run until a signal comes."""
    app = Application(
        broker_address=job["brokers"],
        consumer_group=job["name"],
        auto_offset_reset="earliest",
        commit_interval=0.2,
        state_dir=job["directory"],
        auto_create_topics=True,  # its own changelog
        producer_extra_config={"acks": "all"},
        loglevel="WARNING",
    )
    embed = job["embed"]
    rows = app.dataframe(app.topic(job["table"], key_deserializer="bytes"))
    orders = app.dataframe(app.topic(job["source"], key_deserializer="bytes"))
    orders.join_asof(
        rows,
        how="inner",
        on_merge=lambda order, row: {**order, embed: row},
        grace_ms=timedelta(days=365),
    ).to_topic(app.topic(job["into"], key_serializer="bytes"))
    app.run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
