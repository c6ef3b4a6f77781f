"""A worker's metrics in Prometheus' text format: one table of names, and values read from the engine on request."""
