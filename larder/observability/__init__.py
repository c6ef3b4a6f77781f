"""What a worker reports about itself: health, joins, rates, topology, metrics."""
