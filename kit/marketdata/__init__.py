"""Market data in memory and in bytes: columns, batches, books, and their delivery to readers."""
