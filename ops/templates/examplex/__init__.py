"""Examplex: spot."""
