"""The record as it is kept in the database, and how it is read back.

``codec`` makes few bytes of batches of book updates and of frames, and batches of them again.
"""
