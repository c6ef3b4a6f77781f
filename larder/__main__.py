"""`python -m larder` is the command `larder`."""

from larder.cli.main import main

main()
