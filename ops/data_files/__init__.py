"""Export of recorded data to files, and import of files into the record.

``exporter`` writes Parquet and CSV. ``file_layouts`` knows how the files look that can be taken in,
``file_reader`` reads one into checked tables, and ``importer`` takes them into the database, all of
a file or nothing of it.
"""
