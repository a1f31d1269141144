"""Rows to the bytes of a MarketDataBatch, and back."""
