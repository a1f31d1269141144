"""``./venuemesh certificate``: certificates of processes that a platform starts by itself."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kit.base import settings
from kit.base.access.authority import FOLDER
from kit.base.access.certificates import (
    AUTHORITY_DAYS,
    AUTHORITY_FILE,
    AUTHORITY_KEY_FILE,
    PROCESS_DAYS,
    CertificateAuthority,
    Validity,
    keep_current,
)
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.settings import MESH_SECTION, MeshSettings
from ops import gateway
from ops.arguments import add_verbs
from ops.errors import OperationsError
from ops.output import print_json
from ops.tables import console, table, time_text

SECONDS_PER_DAY = 86_400
COLUMNS = ("file", "service", "expires", "days left")
EXIT_EXPIRED = 1


class CertificateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate, as ``--json`` prints it."""

    file: str
    service_id: str
    expires_time_ns: str
    days_left: int
    """Below 0 it has expired."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    authority = verbs.add_parser("authority", help="write the certificate of the authority")
    authority.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")
    issue = verbs.add_parser("issue", help="write a certificate and its key to a file")
    issue.add_argument("service_id", metavar="SERVICE", help="its service id, as kraken")
    issue.add_argument("--out", type=Path, required=True, metavar="FILE", help="a new file")
    issue.add_argument("--days", type=_days, default=PROCESS_DAYS, help="default: %(default)s")
    renew = verbs.add_parser("renew", help="replace files when a third of their life is left")
    renew.add_argument("files", type=Path, nargs="+", metavar="FILE", help="from issue")
    show = verbs.add_parser("show", help="whose a certificate is, and when it expires")
    show.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="default: that of the authority"
    )
    for verb in (authority, issue, renew, show):
        verb.add_argument("--data", type=Path, metavar="DIR", help="the folder with the keys")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if ``show`` finds one that has expired. Raises OperationsError."""
    try:
        rows = VERBS[chosen.verb](chosen)
    except OSError as error:
        reason = error.strerror or error
        raise OperationsError(f"{error.filename}: cannot be used: {reason}") from None
    if chosen.json:
        print_json({"certificates": rows})
    else:
        console().print(table(COLUMNS, map(_cells, rows)))
    is_expired = chosen.verb == "show" and any(row.days_left < 0 for row in rows)
    return EXIT_EXPIRED if is_expired else 0


def _authority(chosen: argparse.Namespace) -> Sequence[CertificateRow]:
    certificate = _keys(chosen).certificate
    with chosen.out.open("xb") as file:
        file.write(certificate)
    return [_row(chosen.out)]


def _issue(chosen: argparse.Namespace) -> Sequence[CertificateRow]:
    if chosen.out.exists():
        raise OperationsError(f"{chosen.out} is there already: renew it, or name another file")
    keep_current(chosen.out, chosen.service_id, _keys(chosen), chosen.days)
    return [_row(chosen.out)]


def _renew(chosen: argparse.Namespace) -> Sequence[CertificateRow]:
    """A renewed one is valid for as many days as the one before."""
    rows = [_row(file) for file in chosen.files]
    keys = _existing_keys(chosen)
    for file, row in zip(chosen.files, rows, strict=True):
        before = _validity(file)
        days = round((before.end_s - before.start_s) / SECONDS_PER_DAY)
        keep_current(file, row.service_id, keys, max(days, 1))
    return [_row(file) for file in chosen.files]


def _show(chosen: argparse.Namespace) -> Sequence[CertificateRow]:
    own = gateway.data_of(chosen) / FOLDER / AUTHORITY_FILE
    return [_row(file) for file in chosen.files or [own]]


VERBS = {"authority": _authority, "issue": _issue, "renew": _renew, "show": _show}


def _keys(chosen: argparse.Namespace) -> CertificateAuthority:
    """The authority of the mesh on a data folder, made if there is none."""
    mesh_id = settings.load(MeshSettings, MESH_SECTION).mesh_id
    return CertificateAuthority(gateway.data_of(chosen) / FOLDER, mesh_id, SystemClock())


def _existing_keys(chosen: argparse.Namespace) -> CertificateAuthority:
    """One that is made here could not have signed what is there."""
    file = gateway.data_of(chosen) / FOLDER / AUTHORITY_KEY_FILE
    if not file.exists():
        raise OperationsError(f"there is no {file}: name the data folder with --data")
    return _keys(chosen)


def _validity(file: Path) -> Validity:
    try:
        return Validity.of(file.read_bytes())
    except ValueError:
        raise OperationsError(f"{file} has no certificate as PEM") from None


def _row(file: Path) -> CertificateRow:
    found = _validity(file)
    left_s = found.end_s - SystemClock().time_ns() / NANOSECONDS_PER_SECOND
    return CertificateRow(
        file=str(file),
        service_id=found.service_id,
        expires_time_ns=str(int(found.end_s) * NANOSECONDS_PER_SECOND),
        days_left=int(left_s // SECONDS_PER_DAY),
    )


def _cells(row: CertificateRow) -> Sequence[str]:
    return (row.file, row.service_id, time_text(int(row.expires_time_ns)), str(row.days_left))


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= AUTHORITY_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are 1 to {AUTHORITY_DAYS} days")
    return int(text)
