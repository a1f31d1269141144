"""The library is built hardened, or without what the compiler does not know."""

import pytest

from kit.marketdata import native
from ops import native_build

COMPILER = """#!/bin/sh
printf '%s\\n' "$*" >>"{log}"
case "$*" in *{unknown}*) echo "unknown flag" >&2; exit 1 ;; esac
while [ "$1" != -o ]; do shift; done
touch "$2"
"""


@pytest.mark.parametrize(
    ("unknown", "attempts"), [("-fnever", [True]), ("-fstack-clash-protection", [True, False])]
)
def test_the_library_is_hardened_where_that_is_known(unknown, attempts, tmp_path, monkeypatch):
    log, script = tmp_path / "log", tmp_path / "compiler"
    script.write_text(COMPILER.format(log=log, unknown=unknown))
    script.chmod(0o755)
    library = tmp_path / "made" / "library.so"
    monkeypatch.setattr(native, "FOLDER", library.parent)
    monkeypatch.setattr(native, "LIBRARY_PATH", library)
    monkeypatch.setenv("CC", str(script))
    native_build.build()
    assert library.exists()
    commands = log.read_text().splitlines()
    assert ["-D_FORTIFY_SOURCE=3" in command for command in commands] == attempts
    assert all("-O3" in command for command in commands)
