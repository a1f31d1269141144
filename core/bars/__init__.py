"""Makes exact bars of every interval from the trades of every venue, while they happen.

``bar_arithmetic`` is the arithmetic. ``InstrumentBars`` keeps the bars of one symbol, its trade ids
and its coverage. ``VenueBars`` follows one trades stream with its watermark. ``Aggregator`` reads
the streams, stores bars and positions together in ``store``, and publishes changes to
``subscribers``, from which ``service`` serves Bars.Subscribe.

A bar is final when the watermark (the newest venue time of its venue less an allowed lateness) has
passed its end. A later trade amends the bar and increments its revision. The same stream gives the
same bars, however it was cut into batches and however often the process was killed.
"""
