"""What data there is: one module for each context. Declarations only: importing any of it starts nothing."""
