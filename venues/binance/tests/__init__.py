"""Tests of the Binance connector."""
