"""The checks of an order before it is sent: form, prices, limits, reductions, self-trades."""
