"""What derivatives are worth: made by the market, or said by a capture."""

from dataclasses import replace
from pathlib import Path

import pytest

from kit.simulator.capture_files import CaptureFiles
from kit.simulator.capture_player import ReplayMarketView
from kit.simulator.listing import DerivativeMark, InstrumentKind, Listing
from kit.simulator.market import INSTRUMENTS, SimulatedMarket
from kit.simulator.market_events import Instrument
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.tests.fakes import FakeCapture, FakeExchange

OPENING_NS = 1_790_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


class Derivatives(FakeExchange):
    """All that is quoted in USDT is a perpetual."""

    def list(self, instrument: Instrument) -> Listing:
        listing = super().list(instrument)
        if instrument.quote != "USDT":
            return listing
        return replace(listing, kind=InstrumentKind.PERPETUAL, contract_size="1", settle="USDT")


class MarkCapture(FakeCapture):
    """Lines ``marks/A/mark=5,funding=0.1``."""

    def mark_of(self, line: bytes) -> tuple[str, DerivativeMark] | None:
        _, symbol, rest = line.decode().split("/")
        said = dict(part.split("=") for part in rest.split(","))
        price, rate = said.get("mark", ""), said.get("funding", "")
        return symbol, DerivativeMark(price, "", rate, int(said.get("next", "0")))


def market_at(time_ns: int, seed: str = "1") -> tuple[SimulatedMarket, SimulatedMarketView]:
    market = SimulatedMarket(seed, OPENING_NS, 500, INSTRUMENTS)
    market_view = SimulatedMarketView(market, Derivatives())
    market.advance(time_ns)
    return market, market_view


def test_the_same_seed_and_time_give_the_same_mark_near_the_market():
    time_ns = OPENING_NS + HOUR_NS // 1800
    market, market_view = market_at(time_ns)
    mark = market_view.mark("BTCUSDT")
    assert mark is not None
    assert mark == market_at(time_ns)[1].mark("BTCUSDT")
    other = market_at(time_ns, seed="2")[1].mark("BTCUSDT")
    assert other is not None
    assert other.funding_rate != mark.funding_rate
    ((bid, _),) = market.levels(INSTRUMENTS[0], True, 1)
    assert float(mark.index_price) == pytest.approx(bid / 100, rel=1e-3)
    assert 0 < abs(float(mark.mark_price) / float(mark.index_price) - 1) < 2e-3
    assert len(mark.mark_price.partition(".")[2]) == 4
    assert abs(float(mark.funding_rate)) <= 0.003
    assert mark.next_funding_time_ns % (8 * HOUR_NS) == 0
    assert 0 < mark.next_funding_time_ns - time_ns <= 8 * HOUR_NS


def test_funding_is_due_at_multiples_of_the_interval():
    market = SimulatedMarket("1", OPENING_NS, 500, INSTRUMENTS)
    minute_ns = HOUR_NS // 60
    mark = SimulatedMarketView(market, Derivatives(), minute_ns).mark("BTCUSDT")
    assert mark is not None
    assert mark.next_funding_time_ns % minute_ns == 0
    assert 0 < mark.next_funding_time_ns - market.time_ns <= minute_ns


def test_spot_has_no_mark():
    _, market_view = market_at(OPENING_NS)
    assert market_view.mark("ETHBTC") is None
    assert market_view.mark("NOPE") is None


def replayed(folder: Path, capture: FakeCapture, *lines: bytes) -> ReplayMarketView:
    file = folder / "frames.jsonl"
    file.write_bytes(b"\n".join(lines))
    market_view = ReplayMarketView(CaptureFiles([file]), capture, 0.05)
    market_view.played([capture.frame_of(line) for line in lines], OPENING_NS)
    return market_view


def test_in_replay_a_mark_is_the_newest_of_the_capture(tmp_path: Path):
    lines = [b"marks/A/mark=5,next=7", b"marks/B/mark=1", b"tickers/A/funding=0.1"]
    market_view = replayed(tmp_path, MarkCapture({}), *lines)
    assert market_view.mark("A") == DerivativeMark("5", "", "0.1", 7)
    assert market_view.mark("B") == DerivativeMark("1", "", "", 0)
    assert market_view.mark("C") is None
    market_view.played([MarkCapture({}).frame_of(b"marks/A/mark=6")], OPENING_NS)
    assert market_view.mark("A") == DerivativeMark("6", "", "0.1", 7)


def test_a_capture_without_marks_has_none(tmp_path: Path):
    assert replayed(tmp_path, FakeCapture({}), b"marks/A/5").mark("A") is None
