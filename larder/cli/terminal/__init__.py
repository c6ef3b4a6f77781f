"""How commands show answers, to people on a terminal and to programs."""
