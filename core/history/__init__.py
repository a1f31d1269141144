"""Serves the record: lists in pages, streams of columns, and order books at a past time.

It only reads, from the tables that the recorder, the bar aggregator, Repair and the makers of
events write. ``list_store`` answers the lists, ``column_responses`` the streams, ``book_store`` the
books, and ``coverage_store`` says how complete each day of a channel is. ``order_cost_store``
computes what orders have cost: ``stored_orders`` finds them in the events, ``mid_prices`` the
prices of their times. ``service`` is the gRPC service History.
"""
