"""Writes the batches of all venues to Redis Streams: the same bytes under the same numbers, once.

One ``VenueWriter`` per venue holds a lossless MarketData subscription and appends each batch to the
stream of its channel, with the batch's cursor as the entry's id. Each run of a writer starts where
the streams end, so after a crash on any side nothing is missing or duplicated. The ``Trimmer``
deletes entries that the recorder and the bars have read, and keeps Redis within its memory bound.
"""
