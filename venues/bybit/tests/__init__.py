"""Tests of the Bybit connector."""
