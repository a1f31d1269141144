"""Runs the whole way of orders in one process with virtual time, with faults drawn from a seed.

``python -m tests.simulation`` runs seeds; see docs/ORDERS.md.
"""
