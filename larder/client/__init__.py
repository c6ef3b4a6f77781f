"""Conversations with running workers and with the broker, from outside of them."""
