"""Serves what was recorded: lists in pages, the past as streams of columns, and books at a moment.

It only reads, from the tables that the recorder, the bar aggregator and Repair write. ``queries``
answers the lists, page by page; ``service`` is History.
"""
