"""Risk policies: their limits, their files, and the comparison of an order with them."""
