"""The whole mesh, started as a user starts it and judged from outside.

What is true is computed from the captures by ``capture.py``, which knows nothing of the project.
"""
