"""Tests of the Deribit connector."""
