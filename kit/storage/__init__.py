"""The record: its form in the database, and how programs read it."""
