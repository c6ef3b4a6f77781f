"""What a service does: its tables, joins and agents, as inert values.

Declarations, their checks, and the pure functions that are made of them. Nothing
here knows Faust, a Kafka client or a store.
"""
