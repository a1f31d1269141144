"""Serves the record: lists in pages, streams of columns, and order books at a past time.

It only reads, from the tables that the recorder, the bar aggregator and Repair write. ``store``
answers the lists, ``column_responses`` the streams, ``book_store`` the books, and
``coverage_store`` says how complete each day of a channel is; ``service`` is the gRPC service
History.
"""
