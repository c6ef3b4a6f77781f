"""What a worker tells of itself: health, joins, rates, topology, metrics."""
