"""What the command line says in one line, with no trace."""


class OperationsError(Exception):
    """Something that the user can put right: the text says what is wrong and what to do."""
