"""The data of the services: one module for each context. Declarations only: importing them starts nothing."""
