"""Outputs on their way to Kafka, and the input offsets that they complete."""
