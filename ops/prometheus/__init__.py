"""Prometheus beside the mesh: what it scrapes, and when it wakes someone."""
