"""``./venuemesh certificate``, and the processes that use its files."""

import json
from pathlib import Path

import pytest

from kit.base.access.authority import FOLDER
from kit.base.access.certificates import CertificateAuthority, Validity, keep_current
from kit.base.access.settings import TlsSettings
from kit.base.access.transport import MeshTls
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from ops import cli
from ops.commands.certificate import EXIT_EXPIRED
from tests.support.manual_clock import ManualClock

DAY_S = 86_400


@pytest.fixture
def certificate(tmp_path, capsys):
    """Runs the command on a data folder. Returns the exit code and what it prints."""

    def run(*arguments):
        code = cli.main(["certificate", *arguments, "--data", str(tmp_path), "--json"])
        printed = capsys.readouterr().out
        return code, json.loads(printed)["certificates"] if printed else []

    return run


def aged(file: Path, folder: Path, days: int) -> None:
    """Write a certificate as it was made so many days ago."""
    clock = ManualClock()
    clock.now_ns = SystemClock().time_ns() - days * DAY_S * NANOSECONDS_PER_SECOND
    keep_current(file, "kraken", CertificateAuthority(folder / FOLDER, "local", clock))


def test_a_process_can_use_what_it_makes(certificate, tmp_path):
    file, authority = tmp_path / "kraken.pem", tmp_path / "authority.crt"
    code, (row,) = certificate("issue", "kraken", "--out", str(file))
    assert (code, row["service_id"], row["days_left"]) == (0, "kraken", 89)
    assert file.stat().st_mode & 0o777 == 0o600
    code, (row,) = certificate("authority", "--out", str(authority))
    assert (code, row["days_left"]) == (0, 3649)
    settings = TlsSettings(certificate_file=str(file), authority_file=str(authority))
    assert MeshTls(settings, SystemClock()).shown.validity.service_id == "kraken"


def test_what_is_there_is_not_replaced(certificate, tmp_path):
    for words in (("issue", "kraken"), ("authority",)):
        file = tmp_path / words[0]
        assert certificate(*words, "--out", str(file))[0] == 0
        before = file.read_bytes()
        assert certificate(*words, "--out", str(file))[0] == 1
        assert file.read_bytes() == before


def test_it_renews_what_is_due(certificate, tmp_path):
    young, old = tmp_path / "young.pem", tmp_path / "old.pem"
    aged(young, tmp_path, days=30)
    aged(old, tmp_path, days=61)
    before = young.read_bytes()
    code, rows = certificate("renew", str(young), str(old))
    assert (code, [row["days_left"] for row in rows]) == (0, [59, 89])
    assert young.read_bytes() == before
    assert Validity.of(old.read_bytes()).service_id == "kraken"


def test_it_shows_that_one_has_expired(certificate, tmp_path):
    file = tmp_path / "kraken.pem"
    aged(file, tmp_path, days=91)
    code, (row,) = certificate("show", str(file))
    assert (code, row["days_left"] < 0) == (EXIT_EXPIRED, True)
    assert certificate("show")[0] == 0


def test_renewal_needs_the_authority(certificate, tmp_path, capsys):
    file = tmp_path / "kraken.pem"
    aged(file, tmp_path / "elsewhere", days=61)
    assert certificate("renew", str(file))[0] == 1
    assert not (tmp_path / FOLDER).exists()
    file.write_text("no certificate")
    assert certificate("show", str(file))[0] == 1
    assert certificate("show", str(tmp_path / "missing"))[0] == 1
