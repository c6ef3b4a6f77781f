"""The services: one module for each. Declarations only: importing them starts nothing."""
