"""From declarations to running operators."""
