"""Limits and modes of the inspector under everything that may happen, in virtual time.

Strategies and persons want random things, prices jump, clocks are set, processes are killed; the
promises are in ``promises``.
"""
