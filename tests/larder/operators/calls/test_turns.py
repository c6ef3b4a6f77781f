"""Turns against a plain model: of each place only the first call is due, and the earliest comes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from larder.operators.calls.turns import CallTurn, CallTurns

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc"), st.integers(0, 9)),
        st.tuples(st.just("remove"), st.integers(0, 9), st.none()),
        st.tuples(st.just("later"), st.integers(0, 9), st.integers(0, 9)),
    ),
    max_size=40,
)


@given(STEPS)
def test_turns_are_as_a_plain_list_would_have_them(steps: list[tuple[str, object, object]]) -> None:
    turns, model = CallTurns(), list[CallTurn]()
    for number, (step, what, due) in enumerate(steps):
        if step == "add":
            turn = CallTurn(f"c{number}", str(what).encode(), number, float(str(due)))
            turns.add(turn)
            model.append(turn)
        elif model:
            turn = model[int(str(what)) % len(model)]
            if step == "remove":
                turns.remove(turn)
                model.remove(turn)
            else:
                turns.look_at(turn, float(str(due)))
        heads = {each.place: each for each in reversed(model)}.values()
        for now in (0.0, 4.5, 9.0):
            found = turns.first(now)
            due_now = [each for each in heads if each.due <= now]
            assert (found is None) == (not due_now)
            assert found is None or (found.due, found.number) == min((each.due, each.number) for each in due_now)
        assert len(turns) == len(model)
        assert turns.next_due() == min((each.due for each in heads), default=float("inf"))
        assert all(turns.is_free(place) == all(each.place != place for each in model) for place in (b"a", b"b"))
