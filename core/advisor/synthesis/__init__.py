"""Synthesis with a language model: what it is asked, and which answers are accepted.

``model_context`` collects the values that a model sees, ``prompt`` writes the request. ``answer``
reads an answer strictly, ``claims`` compares every number in it with the values, and ``envelope``
applies it. All of it is pure: no clock, no socket.
"""
