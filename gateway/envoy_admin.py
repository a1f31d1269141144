"""Envoy's own state, from the Unix socket of its administration."""

import asyncio
import re
from contextlib import suppress

import aiohttp

VERSIONS_PATH = "/stats?filter=version_text&type=TextReadouts"
VERSION = re.compile(r'^(\S+)\.version_text: "(.*)"$', re.MULTILINE)
CLUSTERS = "cluster_manager.cds"
ROUTES = "http.gateway.rds.venuemesh"
CALL_TIMEOUT_S = 1.0


class EnvoyAdmin:
    """One Envoy. It may be on another machine, where its socket cannot be reached."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    async def versions(self) -> dict[str, str]:
        """The versions of the resources that it uses now. Empty if it cannot be asked."""
        with suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
            async with (
                aiohttp.ClientSession(
                    "http://envoy",
                    connector=aiohttp.UnixConnector(self._socket),
                    timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
                ) as session,
                session.get(VERSIONS_PATH) as response,
            ):
                return dict(VERSION.findall(await response.text()))
        return {}
