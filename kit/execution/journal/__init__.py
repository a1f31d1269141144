"""Each step of an order on disk before it is taken.

journal  records in a row, synced by those who wait
files    a journal's bytes in a file that one process holds
records  what stands in a journal
"""
