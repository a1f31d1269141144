"""``./venuemesh token`` where no mesh is needed."""

import argparse
import re
from pathlib import Path

import pytest

from kit.base.access.authority import FOLDER, Authority
from kit.base.access.certificates import Validity
from kit.base.access.roles import Role
from kit.base.access.tokens import MeshNames, TokenVerifier
from kit.base.access.trust import TrustedKeys
from kit.base.clock import SystemClock
from ops import cli
from ops.commands.token import duration_s
from ops.process_files import SETTINGS


def test_the_files_of_a_process_are_written_for_their_owner_alone(tmp_path, capsys):
    mesh, folder = Authority(tmp_path / FOLDER, SystemClock()), tmp_path / "kraken"
    arguments = ["token", "process", "kraken", "venue", "--for", "90d", "--out", str(folder)]
    arguments += ["--data", str(tmp_path)]
    assert cli.main(arguments) == 0
    printed = dict(re.findall(r'^(\S+) = "(.*)"$', capsys.readouterr().out, re.MULTILINE))
    assert printed.keys() == SETTINGS.keys()
    for file in map(Path, printed.values()):
        assert file.parent == folder
        assert file.stat().st_mode & 0o777 == 0o600
    verifier = TokenVerifier(MeshNames("local"), SystemClock())
    verifier.trust(TrustedKeys(mesh.jwks(), {}, frozenset(), "1"))
    token = Path(printed["access.token_file"]).read_text()
    caller = verifier.verify(token)
    assert (caller.name, caller.kind, caller.is_process) == ("kraken", "venue", True)
    assert caller.expires_time_ns - caller.issued_time_ns == 90 * 86_400 * 10**9
    assert Role.ADMIN not in caller.roles
    certificate = Path(printed["tls.certificate_file"]).read_bytes()
    assert Validity.of(certificate).service_id == "kraken"
    # Again: a new token, and the same certificate, which is still good.
    assert cli.main(arguments) == 0
    assert Path(printed["access.token_file"]).read_text() != token
    assert Path(printed["tls.certificate_file"]).read_bytes() == certificate


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").touch()
    arguments = ["token", "process", "kraken", "venue", "--out", str(tmp_path / "file" / "kraken")]
    assert cli.main([*arguments, "--data", str(tmp_path)]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000)])
def test_a_duration_has_a_unit(text, seconds):
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["12", "h", "-1h", "0h", "1w", "1.5h", ""])
def test_a_duration_without_one_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        duration_s(text)
