"""The private side of OKX, as its clients see it."""
