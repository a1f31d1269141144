"""URLs of stores with and without their passwords."""

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

_USER_INFO = re.compile(r"(://[^:/@\s]*):\S*@")
_PARAMETER = re.compile(r"(password=)[^&\s]+")


def redacted(text: str) -> str:
    """Return a text in which the passwords of URLs are replaced by stars."""
    return _PARAMETER.sub(r"\1***", _USER_INFO.sub(r"\1:***@", text))


def user_of(url: str) -> str:
    """Return the user that a URL names, or ""."""
    return urlsplit(url).username or ""


def password_of(url: str) -> str:
    """Return the password before the host, or ""."""
    return unquote(urlsplit(url).password or "")


def with_password(url: str, password: str) -> str:
    """Return the URL with this password."""
    user, host = _split(url)
    return _with_authority(url, f"{user}:{quote(password, safe='')}@{host}")


def without_password(url: str) -> str:
    """Return the URL with its user and without its password."""
    user, host = _split(url)
    return _with_authority(url, f"{user}@{host}" if user else host)


def _split(url: str) -> tuple[str, str]:
    user, _, host = urlsplit(url).netloc.rpartition("@")
    return user.partition(":")[0], host


def _with_authority(url: str, authority: str) -> str:
    parts = urlsplit(url)
    # Not a URL: a list of words for PostgreSQL, which stays as it is.
    return urlunsplit(parts._replace(netloc=authority)) if parts.netloc else url
