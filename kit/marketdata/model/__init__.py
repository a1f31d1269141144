"""Market data in memory: rows as columns, and views of batches."""
