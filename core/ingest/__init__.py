"""Writes what the venues publish to Redis Streams: the same bytes, under the same numbers, once.

One ``Feed`` per venue subscribes to its MarketData without loss and appends each batch to the
stream of its channel, the batch's cursor as the entry's id. Each run of a feed begins where the
streams end, so that after a crash on any side nothing is missing and nothing stands twice. The
``Trimmer`` lets go of what the recorder and the bars have read, and keeps the memory of Redis
within its bound.
"""
