"""Finds holes in the recorded trades, and mends them from the venue's own history.

``finder`` looks for holes: jumps of trade ids, recorded gaps, bars that are less than the venue's
candles (``candles``). ``jobs`` takes them up, newest first: ``filling`` asks the venue
(``venues``), ``joining`` proves that what it tells joins what is recorded on both sides, and
``publisher`` writes the trades that were missing to the stream of repairs, from which the recorder
and the bars take them. ``quality`` says every minute how good the record is. Everything that must
outlive the process stands in the database (``store``); ``record`` reads what was recorded.
``past_candles`` fetches the venues' candles of the time before the first start, for charts.
"""
