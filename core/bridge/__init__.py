"""Live market data of all venues from one place.

``Tail`` reads the newest entries of every Redis Stream and passes each to its subscribers. A
subscriber with a cursor first gets the entries that the streams hold after it (``CatchUp``).
Lossless subscribers get the bytes that the venue published. Conflated subscribers get the newest
state; ``BookSplicer`` keeps the order books that they want.
"""
