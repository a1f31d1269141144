"""Data that earlier versions wrote stay readable."""
