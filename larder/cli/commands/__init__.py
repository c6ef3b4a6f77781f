"""The subcommands of `larder`: one module each, with a `command`; its first line is the help."""
