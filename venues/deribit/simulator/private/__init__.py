"""The private side of Deribit, as its clients see it."""
