"""Tests of the OKX connector."""
