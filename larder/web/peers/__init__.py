"""Answers of the other workers of the service: asked for in one hop, and brought together."""
