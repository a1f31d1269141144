"""Plays the record of a venue in its place: the same contract, on the time of the record.

``tape`` merges the channels of the record by received time, window after window. ``Player``
publishes them to the ``PlayLog`` at the chosen speed, and waits for its readers.
``PlaybackMarketData`` answers MarketData from the log and from the record (``PastRecord``).
``PaperAccounts`` may trade in a play: they read the log as a ``PlayedFeed`` and trade against the
``PlayedBooks``.

A play makes the same batches under the same cursors in the same order on every run. A reader with a
cursor therefore resumes where it was, even after a restart of the process.
"""
