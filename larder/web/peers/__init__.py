"""Answers of the other workers of the service: requested in one hop, and combined."""
