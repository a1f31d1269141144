"""What a process shows to the others: its token and its certificate, each in a file.

``./venuemesh token process`` writes the files of one process. In containers, ``python -m
ops.process_files FOLDER`` writes those of all, on the keys of the mesh in the data folder, and
keeps them current. Each process has a folder of its own there, FOLDER/NAME, so that a container can
be shown no other. A token is valid for days, and replaced each hour: a container that starts again
at any time finds one that is valid. A certificate is replaced when a third of its life is left.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.base import settings
from kit.base.access.authority import FOLDER, PUBLIC_FILE
from kit.base.access.certificates import AUTHORITY_FILE, CertificateAuthority, keep_current
from kit.base.access.local_tokens import PROCESS_VALID_S, process_token
from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.secret_files import write_secret
from kit.base.settings import MeshSettings
from kit.base.waiting import is_set_within
from kit.connector.contract import discovery
from ops import ports

TOKEN_FILE = "token"
CERTIFICATE_FILE = "certificate.pem"
SETTINGS: Mapping[str, str] = {
    "access.token_file": TOKEN_FILE,
    "access.trust_file": PUBLIC_FILE,
    "tls.certificate_file": CERTIFICATE_FILE,
    "tls.authority_file": AUTHORITY_FILE,
}
"""The settings that name the files."""
INTERVAL_S = 3_600.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_USAGE = 2
OTHERS = (
    *("registry", "simulator", "ingest", "recorder", "bars", "bridge", "history", "repair"),
    *("ledger", "audit", "detector", "advisor", "inspector", "notifier", "mcp", "push"),
)
VENUE = "venue"


@dataclass(frozen=True, slots=True)
class ProcessTerms:
    """What a token of a process is to say."""

    service_id: str
    kind: str
    valid_s: int = PROCESS_VALID_S


def kinds() -> Mapping[str, str]:
    """The kind of each process that may run, by its service id."""
    venues = sorted(discovery.venues())
    found = dict.fromkeys([*venues, *map(ports.replica, venues)], VENUE)
    return found | {name: name for name in (*OTHERS, "targets")}


def write(folder: Path, data: Path, mesh_id: str, process: ProcessTerms) -> None:
    """Write what one process needs to show who it is, into a folder of its own. ``data``: the
    folder with the keys of the mesh. Raises SettingError and OSError."""
    certificates = CertificateAuthority(data / FOLDER, mesh_id, SystemClock())
    service_id = process.service_id
    token = process_token(data, mesh_id, service_id, process.kind, process.valid_s)
    folder.mkdir(parents=True, exist_ok=True)
    write_secret(folder / AUTHORITY_FILE, certificates.certificate)
    keep_current(folder / CERTIFICATE_FILE, service_id, certificates)
    write_secret(folder / PUBLIC_FILE, (data / FOLDER / PUBLIC_FILE).read_bytes())
    # Last: who sees a token finds the other files too.
    write_secret(folder / TOKEN_FILE, token.encode())


def write_all(folder: Path, mesh: MeshSettings) -> None:
    """Write the folder of each process that may run. Raises SettingError and OSError."""
    for service_id, kind in kinds().items():
        terms = ProcessTerms(service_id, kind)
        write(folder / service_id, Path(mesh.data_dir), mesh.mesh_id, terms)


def main(arguments: Sequence[str]) -> int:
    """Write until stopped. Returns the exit code."""
    if len(arguments) != 1:
        print("name the folder of the tokens", file=sys.stderr)
        return EXIT_USAGE
    try:
        asyncio.run(keep_written(Path(arguments[0])))
    except (SettingError, OSError) as error:
        print(f"venuemesh: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


async def nothing_more() -> None:
    """What is done with files that need only be written."""


async def keep_written(
    folder: Path, when_written: Callable[[], Awaitable[None]] = nothing_more
) -> None:
    """Write until a signal to stop; call ``when_written`` after each time. Raises SettingError,
    OSError, and what ``when_written`` raises."""
    stopped = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    while not stopped.is_set():
        write_all(folder, settings.load(MeshSettings, settings.MESH_SECTION))
        await when_written()
        await is_set_within(stopped, INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
