"""What a service does: its tables, joins and agents, as inert values.

This room has the declarations, their checks, and the pure functions compiled from them. It does not know Faust,
Kafka clients or stores.
"""
