"""Publishes each trade once and in order, or reports a gap."""
