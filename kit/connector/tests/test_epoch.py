"""The epoch grows at every start, whatever the clock does."""

from pathlib import Path

from kit.connector.publishing.epoch_file import EpochFile


class SteppingClock:
    """Answers what the test sets."""

    def __init__(self, time_ms: int) -> None:
        self.time_ms = time_ms

    def time_ns(self) -> int:
        return self.time_ms * 1_000_000

    def monotonic_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        return


def test_the_first_epoch_is_the_time(tmp_path: Path) -> None:
    file = EpochFile(tmp_path / "epochs" / "binance")
    assert file.last() is None
    assert file.next(SteppingClock(5000)) == 5000
    assert file.last() == 5000


def test_a_clock_that_stepped_back_does_not_take_the_epoch_with_it(tmp_path: Path) -> None:
    file = EpochFile(tmp_path / "binance")
    file.next(SteppingClock(5000))
    assert file.next(SteppingClock(3000)) == 5001
    assert file.next(SteppingClock(3000)) == 5002


def test_it_is_larger_than_what_a_reader_has_seen(tmp_path: Path) -> None:
    assert EpochFile(tmp_path / "binance").next(SteppingClock(10), above=700) == 701


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "binance").write_text("garbage")
    assert EpochFile(tmp_path / "binance").next(SteppingClock(10)) == 10
