"""All that can be wrong with declarations, by what is declared. Pure."""
