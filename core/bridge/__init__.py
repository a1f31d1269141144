"""Live market data of all venues from one place.

``Tail`` reads the newest entries of every Redis Stream and leaves each with the subscribers that
it concerns. A subscriber with a cursor first gets what the streams hold after it (``catch_up``).
Whole channels travel as the bytes that the venue made; conflated subscribers get the newest state,
for which ``Books`` keeps the order books that somebody looks at.
"""
