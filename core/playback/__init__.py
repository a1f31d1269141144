"""Plays what was recorded of a venue, as if the venue were there: the same contract, its own time.

The ``tape`` merges the channels of the record by received time, window after window; the ``player``
publishes them into the ``log`` at the wanted pace, and waits for whoever reads. ``past`` answers
what MarketData is asked besides: books, instruments, trades and candles of the record. Accounts on
paper may trade in it (``trading``): they follow the log through a ``feed``, and meet the ``books``.

The same play gives the same batches under the same cursors, in the same order, on every run. So a
reader that comes back with a cursor, also to a process that was started anew, goes on where it was.
"""
