"""Policies and verdicts on the command line."""
