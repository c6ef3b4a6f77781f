"""What a declaration does with the records of one partition."""
