"""Tables that are kept up to date from their topics."""
