"""No client of Larder creates a topic by asking for metadata.

A broker with `auto.create.topics.enable=true`, Kafka's default, creates each topic that a Metadata request names,
unless the request forbids it. aiokafka 0.14 does not forbid it: a worker created the topics that their owner
had just deleted, with other settings. Touches the default values of aiokafka's `MetadataRequest`, of which all
of its clients, and Faust's, make their requests. `tests/agents/engine/test_metadata_requests.py` fails when that
changes.
"""

from __future__ import annotations

from aiokafka.protocol.metadata import MetadataRequest


def forbid_creation() -> None:
    """Have each Metadata request of this process forbid the broker to create topics."""
    MetadataRequest.__init__.__defaults__ = (None, False)  # topics, allow_auto_topic_creation
