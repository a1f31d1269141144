"""The private side of Binance, as its clients see it."""
