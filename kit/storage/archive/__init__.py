"""The record as it is kept in the database, and how it is read back.

``codec`` makes few bytes of batches of book updates and of frames, and batches of them again.
``archive`` reads any channel of the record in the order in which it was received. Under it:

    layout, decoded, compiled, reference    rows of a binary COPY, to columns
    copy_out, slices                        from the server, a slice of time after another
    tables, events                          rows of the tables, in order, to batches
    books                                   blocks of book updates, to the same
"""
