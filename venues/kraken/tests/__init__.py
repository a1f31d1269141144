"""Tests of the Kraken connector."""
