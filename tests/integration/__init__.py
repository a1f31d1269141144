"""Tests of the whole mesh, started as by a user and checked from outside.

Expected results are computed from the captures by ``capture.py``, which does not use the project.
"""
