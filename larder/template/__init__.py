"""A new project: the application of this repository, in `files`, under a name of its own."""
