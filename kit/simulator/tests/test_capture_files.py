"""Reading captures from files, whole and damaged."""

import gzip
from pathlib import Path

import pytest

from kit.base.errors import SettingError
from kit.simulator.capture_files import EVEN_PACE_NS, CaptureCorrupted, CaptureFiles

LINES = [b'{"n":%d}' % number for number in range(20_000)]


def lines_of(capture_files: CaptureFiles) -> list[bytes]:
    return [line for block in capture_files.blocks() for line in block.lines]


def times_of(capture_files: CaptureFiles) -> list[int]:
    return [time_ns for block in capture_files.blocks() for time_ns in block.times_ns]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    file = tmp_path / "frames.jsonl"
    file.write_bytes(b"\n".join(LINES))
    return file


def test_every_line_once_and_in_order_of_a_plain_file(plain: Path):
    assert lines_of(CaptureFiles([plain])) == LINES


def test_every_line_once_and_in_order_of_a_packed_file(tmp_path: Path):
    file = tmp_path / "frames.jsonl.gz"
    file.write_bytes(gzip.compress(b"\n".join(LINES) + b"\n"))
    assert lines_of(CaptureFiles([file])) == LINES


def test_a_packed_file_may_have_several_members(tmp_path: Path):
    file = tmp_path / "frames.jsonl.gz"
    halves = b"\n".join(LINES[:9_000]) + b"\n", b"\n".join(LINES[9_000:])
    file.write_bytes(gzip.compress(halves[0]) + gzip.compress(halves[1]))
    assert lines_of(CaptureFiles([file])) == LINES


def test_several_files_are_one_tape(plain: Path, tmp_path: Path):
    (tmp_path / "later").mkdir()
    later = tmp_path / "later" / "frames.jsonl"
    later.write_bytes(b"last\r\n")
    assert lines_of(CaptureFiles([plain, later])) == [*LINES, b"last"]


def test_times_are_those_of_the_same_lines(plain: Path):
    times_ns = [1_700_000_000_000_000_000 + number * 7 for number in range(len(LINES))]
    packed = gzip.compress("\n".join(map(str, times_ns)).encode())
    (plain.parent / "recv_ns.txt.gz").write_bytes(packed)
    assert times_of(CaptureFiles([plain])) == times_ns


def test_times_never_step_back_and_go_on_evenly_where_they_are_missing(tmp_path: Path):
    file = tmp_path / "frames.jsonl"
    file.write_bytes(b"a\nb\nc\nd\ne\n")
    (tmp_path / "recv_ns.txt").write_text("1000\n900\nnot a number\n")
    later = [1000 + EVEN_PACE_NS, 1000 + 2 * EVEN_PACE_NS]
    assert times_of(CaptureFiles([file])) == [1000, 1000, 1000, *later]


def test_a_packed_file_that_was_cut_off_gives_what_can_be_read(tmp_path: Path):
    file = tmp_path / "frames.jsonl.gz"
    packed = gzip.compress(b"\n".join(LINES))
    file.write_bytes(packed[: len(packed) // 2])
    blocks = CaptureFiles([file]).blocks()
    found: list[bytes] = []
    with pytest.raises(CaptureCorrupted, match="frames"):
        found.extend(line for block in blocks for line in block.lines)
    assert len(found) > 1_000
    assert found == LINES[: len(found)]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\x1f\x8bnot gzip at all"])
def test_an_unplayable_tape_is_rejected_at_the_start(tmp_path: Path, content: bytes):
    file = tmp_path / "frames.jsonl"
    file.write_bytes(content)
    with pytest.raises(SettingError, match=r"frames\.jsonl"):
        CaptureFiles([file])


def test_a_file_that_is_not_there_is_rejected(tmp_path: Path):
    with pytest.raises(SettingError, match="no such file"):
        CaptureFiles([tmp_path / "frames.jsonl"])


def test_recorded_answers_are_found_by_index(plain: Path):
    rest = plain.parent / "rest"
    rest.mkdir()
    (rest / "depth.json").write_text("{}")
    (rest / "index.tsv").write_text(
        "12.5\thttps://api.example/depth?symbol=A\trest_depth.json\n"
        "13.5\thttps://api.example/other\tmissing.json\n"
    )
    (answer,) = CaptureFiles([plain]).recorded_answers()
    assert (answer.time_ns, answer.url) == (12_500_000_000, "/depth?symbol=A")
    assert answer.file.read_text() == "{}"
