"""Keeps positions protected: local stops, the dead-man switch, and flattening."""
