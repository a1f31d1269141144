"""A file is read again when it changes, and is missing only if there is none."""

import pytest

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import SettingError
from kit.base.reloaded_file import ReloadedFile


class Clock:
    """A clock that a test advances."""

    now_ns = 0

    def monotonic_ns(self):
        self.now_ns += NANOSECONDS_PER_SECOND
        return self.now_ns


class Reader:
    """Reads a file, unless a test forbids it."""

    is_forbidden = False

    def __call__(self, file):
        try:
            if self.is_forbidden:
                raise PermissionError("not permitted")
            return file.read_text()
        except OSError as error:
            raise SettingError("file", str(file), str(error)) from None


def reloaded(file, read):
    return ReloadedFile(file, read, Clock(), missing="none", unreadable="unknown")


def test_file_that_can_be_read_again_without_a_change_is_read(tmp_path):
    file, read = tmp_path / "file", Reader()
    file.write_text("old")
    found = reloaded(file, read)
    read.is_forbidden = True
    file.write_text("changed")
    assert found.content == "unknown"
    assert "not permitted" in found.problem
    read.is_forbidden = False
    assert (found.content, found.problem) == ("changed", "")


def test_what_is_no_missing_file_is_read_at_the_start(tmp_path):
    link, loop, folder = tmp_path / "link", tmp_path / "loop", tmp_path / "folder"
    link.symlink_to(tmp_path / "gone")
    loop.symlink_to(loop)
    folder.mkdir()
    below = tmp_path / "text" / "file"
    below.parent.write_text("")
    for file in (link, loop, folder, below):
        with pytest.raises(SettingError):
            reloaded(file, Reader())
    assert reloaded(tmp_path / "gone" / "file", Reader()).content == "none"
