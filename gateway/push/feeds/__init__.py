"""Streams of other processes as updates: one class for each kind of channel."""
