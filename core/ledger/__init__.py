"""The books of all accounts, with double entry.

``PostingWriter`` makes groups of postings (``postings``) of the events of fills and of other
changes of balances: ``posting_rules`` says which, and ``position_history`` computes the positions
and the profit, also when fills come late. ``PostingStore`` keeps the groups: ``postgres_store``, or
``tigerbeetle_store`` with the totals in TigerBeetle.
"""
