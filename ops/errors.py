"""Errors that the command line prints in one line, without a traceback.

OperationsError    exit code 1
└── UsageError     exit code 2    correct the command
"""

EXIT_FAILED = 1
EXIT_WRONG_USE = 2


class OperationsError(Exception):
    """An error that the user can fix. The text says what is wrong and what to do."""

    exit_code = EXIT_FAILED

    def __init__(self, text: str, *, reason: str = "FAILED", exit_code: int = 0) -> None:
        """``reason``: for programs; that of a server's error if there is one. ``exit_code``: of a
        command that has its own."""
        super().__init__(text)
        self.reason = reason
        self.exit_code = exit_code or self.exit_code


class UsageError(OperationsError):
    """The command has an argument that it cannot have, or lacks one."""

    exit_code = EXIT_WRONG_USE

    def __init__(self, text: str) -> None:
        super().__init__(text, reason="WRONG_USE")
