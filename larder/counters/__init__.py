"""Numbers that only rise: what a worker took in, gave out, and could not use."""
