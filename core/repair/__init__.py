"""Finds holes in the recorded trades, and fills them from the venue's own history.

``HoleFinder`` looks for holes: jumps of trade ids, recorded gaps, bars with less volume than the
venue's candles (``CandleComparer``). ``JobRunner`` repairs them, newest first: ``HoleRepairer``
asks the venue (``VenueClients``), ``trade_merge`` proves that its trades join the recorded ones on
both sides, and ``RepairPublisher`` writes the missing trades to the stream of repairs, which the
recorder and the bars read. ``QualityScorer`` scores the record every minute. ``CandleBackfill``
fetches the venues' candles of the time before the first start, for charts. All state is in the
database (``HoleStore``); ``RecordReader`` reads what was recorded.
"""
