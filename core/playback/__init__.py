"""Plays the record of a venue in its place: the same contract, on the time of the record.

``record_windows`` merges the channels of the record by received time, window after window.
``PlaybackPublisher`` publishes them to a venue's ``Hub`` at the chosen speed, and waits for its
readers. The services are those of a venue; ``PlaybackMarketData`` and ``RecordedMarketData`` answer
what a venue would. Paper accounts read the hub as a ``PlaybackFeed`` and trade against the
``PlaybackBooks``.

A playback makes the same batches under the same cursors in the same order on every run. A reader
with a cursor therefore resumes where it was, even after a restart of the process.
"""
