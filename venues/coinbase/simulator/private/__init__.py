"""The private side of Coinbase, as its clients see it."""
