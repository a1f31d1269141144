"""The private side of Bybit, as its clients see it."""
