"""The inspector on the command line."""
