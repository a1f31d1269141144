"""Records what is in the streams in PostgreSQL, every row once.

``Recorder`` reads all streams in turn. What it has read gathers in a ``Chunk``, which becomes rows
of PostgreSQL's binary COPY and is written in one transaction together with the positions up to
which it was read. A crash at any moment thus loses or doubles nothing: the next run begins at the
positions in the database.
"""
