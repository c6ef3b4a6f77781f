"""The command line: `larder` and its subcommands."""
