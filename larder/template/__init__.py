"""A new project: the application of this repository under another name. Its files are in `files`."""
