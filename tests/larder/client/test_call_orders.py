"""Orders about calls: when none may be given."""

from __future__ import annotations

import pytest

from larder.client.call_orders import require_not_moving
from larder.config.errors import MistakeError
from larder.declaring.growth import GrowthPhase


def test_no_order_is_given_while_calls_move_to_other_partitions() -> None:
    moving = {GrowthPhase.PAUSING, GrowthPhase.COPYING}
    for phase in moving:
        with pytest.raises(MistakeError, match=f"is not being scaled.*; found one that is {phase.value}; wait"):
            require_not_moving("payments", phase)
    for phase in {*GrowthPhase} - moving:
        require_not_moving("payments", phase)
