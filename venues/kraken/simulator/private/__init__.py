"""The private side of Kraken, as its clients see it."""
