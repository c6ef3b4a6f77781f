"""Tables that follow their topics."""
