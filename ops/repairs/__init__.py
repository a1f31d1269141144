"""Repairs from the command line: the tables that are printed."""
