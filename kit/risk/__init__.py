"""Policies: what they limit, how they are read, and what of an order is beyond them."""
