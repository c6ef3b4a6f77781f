"""The addresses of the web port, one module for each group."""
