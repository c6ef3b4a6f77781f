"""What a service does: its tables, joins and agents, as inert values.

Declarations, their checks, and the pure functions compiled from them. Knows no Faust, no Kafka client
and no store.
"""
