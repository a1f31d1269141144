"""The ledger on the command line: tables, and files of all postings."""
