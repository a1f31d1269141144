"""Benchmarks, side by side with peers where they install."""
