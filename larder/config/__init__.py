"""The configuration of a process: its settings, its addresses, its services."""
