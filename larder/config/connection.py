"""How to reach the brokers, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Connection:
    """What all clients of a process connect with; `bootstrap` has the addresses, host:port separated by commas."""

    bootstrap: str

    def __str__(self) -> str:
        """Show the addresses."""
        return self.bootstrap

    @property
    def addresses(self) -> list[str]:
        """Each address, as host:port."""
        return self.bootstrap.split(",")

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments for an aiokafka client."""
        return {"bootstrap_servers": self.bootstrap}
