"""`python -m app` is the command `larder`."""

from app.cli import main

main()
