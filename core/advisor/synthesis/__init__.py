"""Synthesis with a language model: what it is asked, and which answers are accepted.

``model_context`` collects the values that a model sees, ``prompt`` writes the request. ``answer``
reads an answer strictly, ``claims`` compares every number in it with the values, and ``envelope``
applies it. These are pure: no clock, no socket.

``chat_client`` asks a model, ``completion`` reads what its server sends. ``model_rotation`` chooses
among several models, ``daily_budget`` and ``answer_cache`` bound what they cost. ``synthesizer``
does all this for one entry; ``configured`` makes it from the settings.
"""
