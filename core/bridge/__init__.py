"""Live market data of all venues from one place.

``StreamTailer`` reads the newest entries of every Redis Stream and passes each to its subscribers.
A subscriber with a cursor first gets the entries that the streams hold after it
(``BacklogReader``). Lossless subscribers get the bytes that the venue published. Conflated
subscribers get the newest state; ``LiveBookManager`` keeps the order books that they want.
"""
