"""Makes bars of every interval from the trades of every venue, while they happen, exactly.

``kernel`` is the arithmetic; an ``Instrument`` keeps the bars of one symbol, its trade ids and its
coverage; a ``Venue`` follows one trades stream with its watermark; the ``Aggregator`` reads the
streams, stores bars and position together in the ``store``, and shows changes on the ``board``,
from which Bars.Subscribe is served.

A bar is final when the watermark, the newest venue time of its venue less an allowed lateness, has
passed its end. A trade that comes later amends it: its revision grows by one. The same stream
gives the same bars, however it was cut into batches and however often the process was killed.
"""
