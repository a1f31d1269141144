"""The record: how it is kept in the database, and how a program reads it."""
