"""The policy of the inspector: read from its file at the start, and again when it changes."""

from pathlib import Path

from kit.base.errors import SettingError
from kit.risk.policy import OPEN_POLICY, Policy
from kit.risk.policy_file import PolicyInvalid, read_policy

SETTING = "inspector.policy_file"


def load(file: str, world: str) -> Policy:
    """The policy of a file, or the one of a world that has none. Raises SettingError."""
    if not file:
        return Policy() if world == "live" else OPEN_POLICY
    try:
        # With real money, no limit is missing by oversight.
        return read_policy(Path(file).read_text(), is_complete=world == "live")
    except (OSError, UnicodeDecodeError, PolicyInvalid) as error:
        raise SettingError(SETTING, file, str(error)) from None
