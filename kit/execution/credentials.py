"""Where the credentials of an account come from: the environment, or files such as Docker secrets.

For the account "main" at "binance" they are ``VENUEMESH_BINANCE_MAIN_API_KEY``, ``_SECRET`` and,
where the venue has one, ``_PASSWORD``. With ``_FILE`` behind it, a variable names a file whose text
it is. They are read once, at start, and are in no setting, so that no settings file and no log can
have them.
"""

from collections.abc import Mapping
from pathlib import Path

from kit.base.errors import SettingError
from kit.execution.contract import Credentials

VARIABLES = {"apiKey": "API_KEY", "secret": "SECRET", "password": "PASSWORD"}
"""What ccxt calls it, and how the variable ends."""
NEEDED = ("apiKey", "secret")
FILE = "_FILE"


def load(venue: str, account: str, environment: Mapping[str, str]) -> Credentials:
    """Of one account. Raises SettingError, which never has a secret in it."""
    found: dict[str, str] = {}
    for name, ending in VARIABLES.items():
        variable = variable_of(venue, account, ending)
        text = _text(variable, environment)
        if text:
            found[name] = text
        elif name in NEEDED:
            allowed = f"must have a text, or {variable}{FILE} name a file with it"
            raise SettingError(variable, "", allowed)
    return Credentials(account, found)


def variable_of(venue: str, account: str, ending: str) -> str:
    """The name of a variable, for example VENUEMESH_BINANCE_MAIN_SECRET."""
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
