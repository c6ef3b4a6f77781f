"""Addresses of a worker's web port."""

from __future__ import annotations

import pytest

from larder.config.errors import MistakeError
from larder.config.settings import load_settings
from larder.config.web_address import bound_address, is_name_of, public_address


@pytest.mark.parametrize(
    ("given", "host", "expected"),
    [
        ("", "127.0.0.1", "http://127.0.0.1:80"),
        ("", "::1", "http://[::1]:80"),
        ("", "0.0.0.0", ""),  # noqa: S104 - the very case
        ("", "::", ""),
        ("worker-1", "0.0.0.0", "http://worker-1:80"),  # noqa: S104
        ("worker-1:8080", "0.0.0.0", "http://worker-1:8080"),  # noqa: S104
        ("[fd00::1]", "::", "http://[fd00::1]:80"),
        ("[fd00::1]:8080", "::", "http://[fd00::1]:8080"),
    ],
)
def test_the_public_address_can_be_connected_to_or_is_empty(given: str, host: str, expected: str) -> None:
    assert public_address(given, host, 80) == expected


def test_a_port_is_bound_to_the_address_that_is_set() -> None:
    assert bound_address("::1", 80) == "http://[::1]:80"


@pytest.mark.parametrize("address", ["http://x", "x/y", "a b", "u@h", "x:y", "::1"])
def test_an_invalid_web_address_is_a_mistake(address: str) -> None:
    with pytest.raises(MistakeError, match="web_address: requires host, or host:port"):
        load_settings({"LARDER_WEB_ADDRESS": address})


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1", "10.0.0.5", "worker-1"])
@pytest.mark.parametrize("port", ["", ":80"])
@pytest.mark.parametrize("name", ["localhost", "LocalHost", "127.0.0.1", "127.8.8.8", "[::1]", "BOUND"])
def test_a_host_header_may_name_the_address_of_the_worker_with_any_port(bound: str, port: str, name: str) -> None:
    called = f"[{bound}]" if ":" in bound else bound
    assert is_name_of(f"{called if name == 'BOUND' else name}{port}", bound)


@pytest.mark.parametrize(
    "host",
    ["", ":", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.localhost", "10.0.0.6",
     "127.0.0.1@evil.example", "127.0.0.1:80:90", "localhost:x", "[127.0.0.1]x", "0.0.0.0", "1", "::", "worker-2"],  # noqa: S104
)  # fmt: skip
@pytest.mark.parametrize("bound", ["127.0.0.1", "10.0.0.5", "worker-1"])
def test_a_host_header_may_name_nothing_else(host: str, bound: str) -> None:
    assert not is_name_of(host, bound)


def test_a_host_header_may_name_any_address_of_a_worker_that_is_bound_to_all() -> None:
    for bound in ("0.0.0.0", "::"):  # noqa: S104 - the very case
        for host in ("10.0.0.6:80", "[fd00::1]:80", "0.0.0.0:80", "localhost"):
            assert is_name_of(host, bound)
        assert not is_name_of("evil.example:80", bound)
