"""The subcommands of `larder`: one module each, with a `command`. The first line of the module is its help."""
