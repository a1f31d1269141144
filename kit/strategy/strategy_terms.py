"""The data of a strategy for processes that do not run its code."""

from typing import Annotated

import msgspec
from msgspec import Meta
from venuemesh.bars.v1 import bars_pb2
from venuemesh.events.v1 import event_pb2, signals_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.intervals import BY_NAME, BarInterval
from kit.events.event_ids import event_id
from kit.strategy.loader import LoadedStrategy
from kit.strategy.strategy import ANSWER_MAX_MS, NAME, SECONDS_MAX, WARM_UP_BARS_MAX, Instrument

SOURCE = "detector"
ENTRIES = (signals_pb2.POSITION_ACTION_OPEN, signals_pb2.POSITION_ACTION_FLIP)

_Name = Annotated[str, Meta(pattern=rf"\A{NAME.pattern}\Z")]
_Text = Annotated[str, Meta(min_length=1, max_length=64)]


class SynthesisTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How a language model is asked before a position is opened."""

    answer_max_ms: Annotated[int, Meta(ge=1, le=ANSWER_MAX_MS)]
    conviction_max: Annotated[float, Meta(ge=0, le=1)]
    opposing_blocks: bool


class StrategyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a strategy, without what is computed. Decoding checks them, as they may come
    from where its code runs."""

    name: _Name
    file: str
    """Name of its file."""
    version: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    """SHA-256 of its file and parameters, hexadecimal."""
    instruments: Annotated[tuple[tuple[_Text, _Text], ...], Meta(min_length=1, max_length=10_000)]
    """Venue id and native symbol of each."""
    interval: str
    account: _Name
    regime: Annotated[str, Meta(max_length=1_000)]
    threshold: Annotated[float, Meta(gt=0, le=1)]
    expiry_s: Annotated[int, Meta(ge=1, le=SECONDS_MAX)]
    warm_up_bars: Annotated[int, Meta(ge=0, le=WARM_UP_BARS_MAX)]
    synthesis: SynthesisTerms | None = None
    """None: no model is asked."""

    def __post_init__(self) -> None:
        if self.interval not in BY_NAME:
            raise ValueError(f"interval is {self.interval!r}; allowed: {', '.join(BY_NAME)}")

    @property
    def bar_interval(self) -> BarInterval:
        return BY_NAME[self.interval]

    def parsed_instruments(self) -> list[Instrument]:
        return [Instrument(*one) for one in self.instruments]


def terms_of(loaded: LoadedStrategy) -> StrategyTerms:
    """Of a strategy that is loaded here."""
    strategy = loaded.strategy
    return StrategyTerms(
        name=strategy.name,
        file=loaded.file.name,
        version=loaded.version,
        instruments=tuple((one.venue, one.symbol) for one in strategy.parsed_instruments()),
        interval=strategy.interval,
        account=strategy.account,
        regime=strategy.regime,
        threshold=strategy.threshold,
        expiry_s=strategy.expiry_s,
        warm_up_bars=strategy.warm_up_bars,
        synthesis=msgspec.convert(strategy.synthesis, SynthesisTerms | None, from_attributes=True),
    )


def signal_event(
    terms: StrategyTerms,
    instrument: Instrument,
    bar: bars_pb2.Bar,
    raised: signals_pb2.SignalRaised,
) -> event_pb2.Event:
    """The signal of a strategy on a bar that it has just seen."""
    raised.strategy, raised.strategy_version = terms.name, terms.version
    raised.venue, raised.symbol = instrument
    raised.account, raised.regime = terms.account, terms.regime
    raised.expires_time_ns = bar.close_time_ns + terms.expiry_s * NANOSECONDS_PER_SECOND
    raised.bar.CopyFrom(bar)
    raised.ClearField("synthesis")
    if terms.synthesis is not None and raised.action in ENTRIES:
        asked = signals_pb2.SynthesisRequest(**msgspec.structs.asdict(terms.synthesis))
        raised.synthesis.CopyFrom(asked)
    place = (terms.version, *instrument, terms.interval, bar.open_time_ns, bar.revision)
    signal_id = event_id(SOURCE, terms.name, [" ".join(map(str, place)).encode()])
    cursor = event_pb2.InputCursor(
        venue=instrument.venue,
        symbol=instrument.symbol,
        interval=terms.interval,
        open_time_ns=bar.open_time_ns,
        revision=bar.revision,
    )
    return event_pb2.Event(
        event_id=signal_id,
        source=SOURCE,
        instance=terms.name,
        time_ns=bar.close_time_ns,
        lifecycle_id=signal_id,
        config_hash=bytes.fromhex(terms.version),
        inputs=[cursor],
        signal_raised=raised,
    )
