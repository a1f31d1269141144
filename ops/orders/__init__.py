"""Orders from the command line: what is asked, the calls, and the tables that are printed."""
