"""Parameters of calls as texts, from a form or from JSON."""

from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)


def form_parameters(body: bytes) -> dict[str, str]:
    """``volume=1&type=buy``. Raises ValueError."""
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def json_parameters(body: bytes | str) -> dict[str, str]:
    """The members of a JSON object as texts: numbers exactly, without exponent; lists with commas;
    the members of an inner object as ``outer.inner``; null is left out. Raises ValueError."""
    found: dict[str, str] = {}
    for name, raw in _object.decode(body or b"{}").items():
        written = bytes(raw)
        if written.startswith(b"{"):
            inner = json_parameters(written)
            found |= {f"{name}.{key}": value for key, value in inner.items()}
        elif written != b"null":
            found[name] = _as_text(written)
    return found


def _as_text(written: bytes) -> str:
    if written.startswith(b'"'):
        return _text.decode(written)
    if written.startswith(b"["):
        return ",".join(_as_text(bytes(one)) for one in _list.decode(written))
    if written in (b"true", b"false"):
        return written.decode()
    return f"{Decimal(written.decode()):f}"
