"""Contradictory options are rejected before a process starts."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from ops.errors import OperationsError
from ops.supervisor.options import MeshOptions, check, check_capture, parse_replays, parse_speed

KNOWN = ["binance", "kraken"]
SIMULATED = MeshOptions(world="simulate", venues=("binance",), data=Path("/data"))


def replayed(file: Path) -> MeshOptions:
    return replace(SIMULATED, world="replay", replays=(("binance", file),))


def test_replays_are_read_in_order():
    replays = parse_replays(["binance=/a", "kraken=/b=c", "binance=/d"])
    assert replays.files == (
        ("binance", Path("/a")),
        ("kraken", Path("/b=c")),
        ("binance", Path("/d")),
    )


@pytest.mark.parametrize("text", ["binance", "=/a", "binance=", "binance=/a,b"])
def test_a_replay_without_venue_and_file_is_rejected(text: str):
    with pytest.raises(OperationsError, match="--replay"):
        parse_replays([text])


@pytest.mark.parametrize("text", ["1", "0.5", "100", "max"])
def test_a_speed_stays_as_it_was_written(text: str):
    assert parse_speed(text) == text


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "inf", ""])
def test_a_wrong_speed_is_rejected(text: str):
    with pytest.raises(OperationsError, match="greater than 0, and max"):
        parse_speed(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (replace(SIMULATED, venues=("nope",)), "no venue 'nope'; there are binance, kraken"),
        (replace(SIMULATED, venues=()), "at least one venue"),
        (replace(SIMULATED, seconds=0.0), "--for 0"),
        (replace(SIMULATED, world="replay"), "--replay binance=FILE"),
        (replace(SIMULATED, replays=(("binance", Path("/a")),)), "--world replay"),
        (replace(SIMULATED, world="live", speed="2"), "--speed and --seed"),
        (replace(SIMULATED, world="live", seed=2), "--speed and --seed"),
        (replayed(Path("/nowhere/frames.jsonl")), "is not there"),
        (replace(replayed(Path("/a")), venues=("kraken",)), "--replay kraken=FILE"),
    ],
)
def test_contradictory_options_are_rejected(options: MeshOptions, words: str):
    with pytest.raises(OperationsError) as refusal:
        check(options, KNOWN)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_good_capture_passes(tmp_path: Path):
    file = tmp_path / "frames.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"e":"trade"}\n' * 1000))
    (tmp_path / "recv_ns.txt").write_text("1\n" * 1000)
    check(replayed(file), KNOWN)


def test_unreadable_captures_are_rejected(tmp_path: Path):
    whole = gzip.compress(b"".join(b'{"e":"trade","t":%d}\n' % number for number in range(999)))
    broken = {
        "cut.gz": whole[:-20],
        "damaged.gz": whole[:50] + b"\0" * 40 + whole[90:],
        "plain.gz": b'{"e":"trade"}\n',
        "empty.gz": b"",
        "empty.jsonl": b"",
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OperationsError, match=name):
            check_capture(tmp_path / name)
    with pytest.raises(OperationsError, match="is a folder"):
        check_capture(tmp_path)


def test_receive_times_beside_the_frames_are_checked_too(tmp_path: Path):
    file = tmp_path / "frames.jsonl"
    file.write_text('{"e":"trade"}\n')
    (tmp_path / "recv_ns.txt.gz").write_bytes(b"not gzip")
    with pytest.raises(OperationsError, match=r"recv_ns\.txt\.gz cannot be read"):
        check(replayed(file), KNOWN)
