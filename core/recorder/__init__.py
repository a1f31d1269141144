"""Records the streams in PostgreSQL, every row exactly once.

``Recorder`` reads all streams in turn and collects entries in a ``Chunk``. A chunk becomes rows of
PostgreSQL's binary COPY and is written in one transaction, together with the positions up to which
it was read. So a crash loses nothing and doubles nothing: the next run begins at the positions in
the database.
"""
