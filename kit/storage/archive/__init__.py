"""The record in the database.

``codec`` packs and unpacks batches of book updates and of frames. ``archive`` reads any channel of
the record in the order of receipt. Its parts:

    copy_layout, copy_rows, compiled_copy_decoder, reference_copy_decoder
                        rows of a binary COPY, as columns
    copy_out, slices    rows from the server, one slice of time after another
    tables, events      rows of SQL tables, in order, as batches
    books               blocks of book updates, as batches and as whole books
    bars                bars, as columns
"""
