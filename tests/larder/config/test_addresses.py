"""Which texts are addresses, before anything connects to them."""

from __future__ import annotations

import pytest

from larder.config.addresses import is_address, is_host


@pytest.mark.parametrize("port", ["1", "9092", "65535"])
@pytest.mark.parametrize(
    "host",
    ["kafka", "kafka.svc", "kafka.svc.", "kafka_1", "kafka-1", "10.0.0.5", "[::1]", "[fd00::1]", "bücher.example"],
)
def test_a_host_with_a_port_is_an_address(host: str, port: str) -> None:
    assert is_address(f"{host}:{port}", needs_port=True)
    assert is_address(f"{host}:{port}", needs_port=False)
    assert is_address(host, needs_port=False)
    assert not is_address(host, needs_port=True)


@pytest.mark.parametrize(
    "port", ["0", "65536", "99999", "100000", "-1", "+1", "x", "", " 1", "1_0", "٩٠٩٢", "\uff19\uff10\uff19\uff12", "²"]
)
def test_a_port_is_a_number_from_1_to_65535_in_ascii(port: str) -> None:
    assert not is_address(f"kafka:{port}", needs_port=True)
    assert not is_address(f"kafka:{port}", needs_port=False)


@pytest.mark.parametrize(
    "host",
    ["", ".", "a..b", ".a", "ü..b", "a" * 64, "a b", "a\0b", "a\n", "\ud800", "u@h", "http://h", "h/", "h?", "[::1",
     "[::1]x", "[]", "[kafka]", "[10.0.0.5]", "[:::]", ":::"],
)  # fmt: skip
def test_a_host_that_cannot_be_looked_up_is_refused(host: str) -> None:
    assert not is_host(host)
    assert not is_address(f"{host}:9092", needs_port=True)
    assert not is_address(host, needs_port=False)


def test_an_ip_address_is_a_host_without_brackets() -> None:
    assert is_host("::1")
    assert is_host("fe80::1%eth0")
    assert is_host("127.0.0.1")
    assert not is_address("::1", needs_port=False)
