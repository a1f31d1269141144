"""Runs the whole chain from a signal to the end of its position, in one process with virtual time
and a real PostgreSQL, with faults drawn from a seed.

``python -m tests.simulation.chain`` runs seeds; see CONTRIBUTING.md.
"""
