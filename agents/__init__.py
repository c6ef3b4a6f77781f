"""What each service does: one module for each. Declarations only: importing any of it starts nothing."""
