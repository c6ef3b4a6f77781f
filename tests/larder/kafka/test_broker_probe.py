"""The probe of a broker, through a proxy that stalls, is cut and works again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from larder.config.connection import Connection
from larder.kafka.broker_probe import probe
from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from larder.local_broker.properties import Listener
from tests.support.proxy import Proxy, Way
from tests.support.topics import until


async def test_a_broker_is_missed_while_it_is_silent_or_gone(tmp_path: Path) -> None:
    proxy, heard = Proxy(free_port(), free_port()), [False]
    broker = LocalBroker(tmp_path / "broker", listeners=[Listener("PROXIED", proxy.target, proxy.port)])
    probing = asyncio.create_task(
        probe(Connection(f"127.0.0.1:{proxy.port}"), lambda: heard.append(True), lambda: heard.append(False))
    )
    await asyncio.to_thread(broker.start)
    try:
        await asyncio.to_thread(broker.wait_ready)
        await proxy.start()
        ways: tuple[Way, ...] = ("open", "held", "open", "cut", "open")
        for way in ways:
            proxy.set(way)
            await until(lambda way=way: heard[-1] is (way == "open"), 20, f"a broker whose connection is {way}")
        assert not probing.done()
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        await proxy.stop()
        await asyncio.to_thread(broker.stop)
