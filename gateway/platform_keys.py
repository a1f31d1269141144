"""The public keys of the platform's issuer, read from its address again and again.

The last ones are kept in a file, so that a restart while the issuer is away refuses nobody.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import msgspec

from kit.base import telemetry
from kit.base.access.tokens import PLATFORM_ALGORITHMS
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.secret_files import write_secret

INTERVAL_S = 300.0
RETRY_S = 10.0
TIMEOUT_S = 10.0
BYTES_MAX = 1024 * 1024
FILE = "platform-jwks.json"
KEPT_S_MAX = 86_400
"""Older keys are not taken from the file: the issuer may have withdrawn them."""
HTTP_OK = 200
PRIVATE_FIELD = "d"

Jwks = Mapping[str, Any]

_log = telemetry.logger("gateway.platform_keys")


class KeptKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What the file has."""

    url: str
    read_time_ns: int
    jwks: dict[str, Any]


class PlatformKeys:
    """The keys of one issuer."""

    def __init__(
        self, url: str, folder: Path, changed: Callable[[Jwks], None], clock: Clock
    ) -> None:
        """``folder``: where they are kept. ``changed``: gets the key set when it is not the one
        before."""
        self._url = url
        self._file = folder / FILE
        self._changed = changed
        self._clock = clock
        self._known: Jwks = {}

    async def run(self) -> None:
        """Read them, endlessly. When they cannot be read, the last ones stay."""
        self._recall()
        while True:
            try:
                await self.refresh()
                await self._clock.sleep(INTERVAL_S)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                detail = f"{type(error).__name__}: {error}"
                _log.warning("keys not read", extra={"url": self._url, "detail": detail})
                await self._clock.sleep(RETRY_S)

    async def refresh(self) -> None:
        """Read them once. Raises aiohttp.ClientError, TimeoutError and ValueError."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(self._url, allow_redirects=False) as response,
        ):
            if response.status != HTTP_OK:
                raise ValueError(f"HTTP status {response.status}")
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > BYTES_MAX:
                    raise ValueError(f"more than {BYTES_MAX} bytes")
        self._accept(read_keys(bytes(content)))
        self._keep()

    def _accept(self, found: Jwks) -> None:
        if found != self._known:
            self._known = found
            self._changed(found)

    def _keep(self) -> None:
        kept = KeptKeys(url=self._url, read_time_ns=self._clock.time_ns(), jwks=dict(self._known))
        try:
            write_secret(self._file, msgspec.json.encode(kept))
        except OSError as error:
            _log.warning("keys not kept", extra={"file": str(self._file), "detail": str(error)})

    def _recall(self) -> None:
        """Accept the kept keys, if they are of this address and not too old."""
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=KeptKeys)
            found = read_keys(msgspec.json.encode(kept.jwks))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _log.warning(
                "kept keys not read", extra={"file": str(self._file), "detail": f"{error}"}
            )
            return
        age_s = (self._clock.time_ns() - kept.read_time_ns) // NANOSECONDS_PER_SECOND
        if kept.url == self._url and 0 <= age_s <= KEPT_S_MAX:
            _log.info("kept keys in use", extra={"url": self._url, "age_s": age_s})
            self._accept(found)


def read_keys(content: bytes) -> Jwks:
    """The public keys of a JSON Web Key Set that tokens may be signed with. Raises ValueError if
    there is none."""
    document = msgspec.json.decode(content, type=dict[str, Any])
    keys = [jwk for jwk in document.get("keys", ()) if isinstance(jwk, dict) and _is_usable(jwk)]
    if not keys:
        raise ValueError("no key that can be used: allowed are " + ", ".join(PLATFORM_ALGORITHMS))
    return {"keys": keys}


def _is_usable(jwk: Mapping[str, Any]) -> bool:
    # A private or shared key is the issuer's mistake: whoever reads it could sign.
    if not jwk.get("kid") or PRIVATE_FIELD in jwk or jwk.get("use", "sig") != "sig":
        return False
    try:
        return jwt.PyJWK(dict(jwk)).algorithm_name in PLATFORM_ALGORITHMS
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
