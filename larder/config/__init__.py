"""What a process was told: its settings, its addresses, its services."""
