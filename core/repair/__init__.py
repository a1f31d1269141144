"""Finds holes in the recorded trades, and fills them from the venue's own history.

``HoleFinder`` looks for holes: jumps of trade ids, recorded gaps, bars with less volume than the
venue's candles (``CandleComparison``). ``JobRunner`` repairs them, newest first: ``HoleFiller``
asks the venue (``Venues``), ``joining`` proves that its trades join the recorded ones on both
sides, and ``Publisher`` writes the missing trades to the stream of repairs, which the recorder and
the bars read. ``Quality`` scores the record every minute. ``PastCandles`` fetches the venues'
candles of the time before the first start, for charts. All state is in the database
(``HoleStore``); ``RecordReader`` reads what was recorded.
"""
