"""Server-sent events are parsed as they were written, however their bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.queries import event_stream
from larder.queries.event_stream import EventReader, ServerSentEvent, framed


def read(reader: EventReader, text: bytes, cuts: list[int]) -> list[ServerSentEvent]:
    bounds = [0, *sorted(each % (len(text) + 1) for each in cuts), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(bounds)]
    return [event for piece in pieces for event in reader.feed(piece)]


@given(
    st.lists(st.tuples(st.text("abc", min_size=1), st.text("ab :\n", min_size=1), st.text("01", min_size=1))),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(0)),
)
def test_events_are_parsed_as_they_were_written(events: list[tuple[str, str, str]], end: str, cuts: list[int]) -> None:
    lines = [
        line
        for name, data, last in events
        for line in [f"event: {name}", f"id: {last}", *(f"data: {line}" for line in data.split("\n")), ""]
    ]
    found = read(EventReader(), "".join(line + end for line in lines).encode(), cuts)
    assert found == [ServerSentEvent(name, data.encode(), last) for name, data, last in events]


@given(st.text("ab{}"), st.lists(st.integers(0)))
def test_events_that_a_worker_sends_can_be_parsed(data: str, cuts: list[int]) -> None:
    event = ServerSentEvent("row", data.encode(), "0.7")
    assert read(EventReader(), b"retry: 1000\n" + framed(event) + b": alive\n\n" + framed(event), cuts) == [
        event,
        event,
    ]


def test_comments_and_events_without_data_are_ignored_and_the_last_id_is_kept() -> None:
    reader = EventReader("7")
    lines = [b":", b"", b"event: row", b"", b"retry: 5", b"data", b"", b"id: 8", b"", b"data:x", b"", b""]
    events = reader.feed(b"\n".join(lines))
    assert events == [ServerSentEvent("message", b"", "7"), ServerSentEvent("message", b"x", "8")]


@pytest.mark.parametrize("text", [b"data: too long", b"data: a\ndata: b\ndata: c\ndata: d\n"])
def test_an_event_that_does_not_end_is_refused(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LARGEST_EVENT", 3)
    with pytest.raises(ValueError, match="an event of more than 3 bytes"):
        EventReader().feed(text)
