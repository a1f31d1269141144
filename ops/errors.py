"""Errors that the command line prints in one line, without a traceback."""


class OperationsError(Exception):
    """An error that the user can fix. The text says what is wrong and what to do."""
