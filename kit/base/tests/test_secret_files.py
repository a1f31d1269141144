"""Secrets are read from files, and once from pipes."""

import os
from pathlib import Path

import pytest

from kit.base.secret_files import OWNER_ONLY, make_secret, read_secret, write_secret


def test_a_file_is_read_each_time(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("first\n")
    assert read_secret(str(file)) == "first"
    file.write_text("second\n")
    assert read_secret(str(file)) == "second"


def test_a_pipe_is_read_once_and_closed():
    reading, writing = os.pipe()
    os.write(writing, b"secret")
    os.close(writing)
    assert read_secret(f"/dev/fd/{reading}") == "secret"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)
    assert read_secret(f"/dev/fd/{reading}") == "secret"


def test_a_file_without_a_secret_is_an_error(tmp_path: Path):
    for content, words in ((b" \n", "empty"), (b"\xff", "not text")):
        (tmp_path / "password").write_bytes(content)
        with pytest.raises(OSError, match=words):
            read_secret(str(tmp_path / "password"))


def test_a_written_file_is_replaced_whole_and_a_made_one_is_kept(tmp_path: Path):
    file = tmp_path / "key"
    make_secret(file, b"first")
    make_secret(file, b"second")
    assert file.read_bytes() == b"first"
    write_secret(file, b"third")
    assert file.read_bytes() == b"third"
    assert file.stat().st_mode & 0o777 == OWNER_ONLY
    assert list(tmp_path.iterdir()) == [file]
