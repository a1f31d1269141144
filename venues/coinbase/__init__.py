"""Coinbase: spot, over the Advanced Trade feed or the Exchange feed."""
