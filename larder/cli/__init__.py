"""The command line: the command `larder` and its subcommands."""
