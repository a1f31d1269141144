"""Bybit: spot, v5."""
