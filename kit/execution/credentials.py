"""Reads the credentials of an account from the environment, or from files such as Docker secrets.

For the account "main" at "binance" the variables are ``VENUEMESH_BINANCE_MAIN_API_KEY``,
``_SECRET`` and, where the venue needs one, ``_PASSWORD``. With the suffix ``_FILE`` a variable
names a file that has the value. They are read once, at start. They are not settings, so no settings
file and no log has them.
"""

from collections.abc import Mapping
from pathlib import Path

from kit.base.errors import SettingError
from kit.execution.contract import Credentials

VARIABLES = {"apiKey": "API_KEY", "secret": "SECRET", "password": "PASSWORD"}
"""By the name in ccxt, the suffix of the variable."""
NEEDED = ("apiKey", "secret")
FILE = "_FILE"


def load(venue: str, account: str, environment: Mapping[str, str]) -> Credentials:
    """Return the credentials of one account. Raises SettingError, never with a secret in it."""
    found: dict[str, str] = {}
    for name, ending in VARIABLES.items():
        variable = variable_of(venue, account, ending)
        text = _text(variable, environment)
        if text:
            found[name] = text
        elif name in NEEDED:
            allowed = f"must be set, or {variable}{FILE} must name a file with the value"
            raise SettingError(variable, "", allowed)
    return Credentials(account, found)


def variable_of(venue: str, account: str, ending: str) -> str:
    """Return the name of a variable, for example VENUEMESH_BINANCE_MAIN_SECRET."""
    words = "_".join((venue, account, ending)).upper()
    return "VENUEMESH_" + "".join(one if one.isalnum() else "_" for one in words)


def _text(variable: str, environment: Mapping[str, str]) -> str:
    file = environment.get(variable + FILE, "")
    if not file:
        return environment.get(variable, "").strip()
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__
        raise SettingError(variable + FILE, file, f"cannot be read: {kind}") from None
