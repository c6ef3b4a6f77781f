"""The shop, running: a generator of customers, products and orders, three workers, and a line for each."""
