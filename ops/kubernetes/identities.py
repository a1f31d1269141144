"""Gives each process of a mesh in Kubernetes its token and certificate, as a Secret.

Run as ``python -m ops.kubernetes.identities FOLDER LIST ACCOUNT CLUSTER`` in the pod of the
registry, the only one that has the keys of the mesh. It writes the folder of each process as
``python -m ops.process_files`` does, and copies those that the file LIST names into their Secrets,
whenever they are renewed. ACCOUNT: the folder with the token of the pod's account, the namespace,
and the authority of the cluster, whose API is at the URL CLUSTER. A Secret has to be there, as the
account may change it and do nothing else. Ends when the cluster does not take one, and is started
again by the cluster.
"""

import asyncio
import ssl
import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from kit.base import settings
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.execution.approval.keys import (
    INSPECTOR_FILE,
    INSPECTOR_PUBLIC_FILE,
    publish_inspector_key,
)
from ops.process_files import keep_written

KEYS: Mapping[str, Path] = {file.name: file for file in (INSPECTOR_FILE, INSPECTOR_PUBLIC_FILE)}
"""Keys that a Secret may have besides, by name; the files are in the data folder."""
CALL_SECONDS_MAX = 30
MERGE_PATCH = "application/merge-patch+json"
EXIT_FAILED, EXIT_USAGE = 1, 2


class ClusterError(Exception):
    """The cluster has not taken a Secret."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose files a Secret has."""

    service_id: str
    secret: str
    key: str = ""
    """One of KEYS. Empty: none."""


def read_list(file: Path) -> list[Identity]:
    """The lines of the list. Raises SettingError and OSError."""
    found = []
    for line in file.read_text().splitlines():
        words = line.split()
        is_known = len(words) == 2 or (len(words) == 3 and words[2] in KEYS)
        if not is_known:
            allowed = f"a service id, a Secret, and perhaps one of {', '.join(KEYS)}"
            raise SettingError(str(file), line, allowed)
        found.append(Identity(*words))
    return found


class SecretPublisher:
    """Copies folders of processes into Secrets of one namespace."""

    def __init__(self, endpoint: str, account: Path, folder: Path, data: Path) -> None:
        """``folder``: those of the processes; ``data``: the folder with the keys of the mesh."""
        self._endpoint = endpoint
        self._account = account
        self._folder = folder
        self._data = data

    async def publish(self, identities: Iterable[Identity]) -> None:
        """Copy the files of each. Raises OSError and ClusterError."""
        namespace = (self._account / "namespace").read_text().strip()
        # The cluster renews it each hour.
        token = (self._account / "token").read_text().strip()
        connector = aiohttp.TCPConnector(ssl=self._tls())
        headers = {"authorization": f"Bearer {token}", "content-type": MERGE_PATCH}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)
        async with aiohttp.ClientSession(
            self._endpoint, connector=connector, headers=headers, timeout=timeout
        ) as session:
            for identity in identities:
                path = f"/api/v1/namespaces/{namespace}/secrets/{identity.secret}"
                await _patch(session, path, self._content(identity))

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._endpoint.startswith("https:"):
            return False
        return ssl.create_default_context(cafile=str(self._account / "ca.crt"))

    def _content(self, identity: Identity) -> bytes:
        files = [file for file in (self._folder / identity.service_id).iterdir() if file.is_file()]
        if identity.key:
            files.append(self._data / KEYS[identity.key])
        data = {file.name: b64encode(file.read_bytes()).decode() for file in files}
        return msgspec.json.encode({"data": data})


async def _patch(session: aiohttp.ClientSession, path: str, content: bytes) -> None:
    try:
        async with session.patch(path, data=content) as answer:
            if answer.status != 200:
                text = (await answer.text())[:500]
                raise ClusterError(f"{path}: the cluster answers {answer.status}: {text}")
    except (TimeoutError, aiohttp.ClientError) as error:
        raise ClusterError(f"{path}: the cluster does not answer: {error!r}") from None


async def run(folder: Path, list_file: Path, account: Path, endpoint: str) -> None:
    """Write and publish until a signal to stop. Raises SettingError, OSError, ClusterError."""
    identities = read_list(list_file)
    data = Path(settings.load(MeshSettings, settings.MESH_SECTION).data_dir)
    publish_inspector_key(data)
    publisher = SecretPublisher(endpoint, account, folder, data)
    await keep_written(folder, lambda: publisher.publish(identities))


def main(arguments: Sequence[str]) -> int:
    """Publish until stopped. Returns the exit code."""
    if len(arguments) != 4:
        print("name FOLDER LIST ACCOUNT CLUSTER", file=sys.stderr)
        return EXIT_USAGE
    folder, list_file, account = map(Path, arguments[:3])
    try:
        asyncio.run(run(folder, list_file, account, arguments[3]))
    except (SettingError, OSError, ClusterError) as error:
        print(f"venuemesh: {error}", file=sys.stderr)
        return EXIT_FAILED if isinstance(error, ClusterError) else EXIT_USAGE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
