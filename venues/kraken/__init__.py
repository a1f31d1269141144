"""Kraken: spot, WebSocket API v2."""
