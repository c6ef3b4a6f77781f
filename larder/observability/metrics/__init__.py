"""What a worker measures, in Prometheus' text format: one table of names, read out of the engine when it is asked."""
