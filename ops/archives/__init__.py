"""Export of recorded data to files, and import of files into the record.

``exporting`` writes Parquet and CSV. ``layouts`` knows how the files look that can be taken in,
``reading`` reads one into checked tables, and ``importing`` takes them into the database, all of a
file or nothing of it.
"""
