"""Decides: functions from events to new rows of a state, events, refusals and wake-ups."""
