"""The compiled reader and writer agree with their references, whatever they are given."""

import json
import random
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.marketdata.v1 import batch_pb2

from kit import encode, native
from kit.columns import Numbers, Symbols, TradeRows
from kit.frames import Decoded, Field, FrameError, Frames, Patterns, Schema
from kit.numbers import to_decimal

SCHEMA = Schema(
    "data",
    s=Field.TEXT,
    i=Field.INTEGER,
    d=Field.DECIMAL,
    f=Field.FLAG,
    b=Field.LEVELS,
    a=Field.LEVELS,
)

compiled = pytest.mark.skipif(native.library is None, reason="no C compiler built the library")

UNUSUAL = ("1e-7", "+1", ".5", "1.", "000012.50", "-0.0")
EXTRAS = (
    None,
    "text",
    'a "quoted" text',
    "\u00e9",
    1.5,
    1e30,
    [],
    {},
    [1, [2, {"p": []}]],
    {"q": True},
)


def decimal(source: random.Random) -> str:
    if source.random() < 0.02:
        return source.choice(UNUSUAL)
    sign = source.choice(("", "", "", "-"))
    fraction = source.choice(("", f".{source.randrange(10**8):08d}", f".{source.randrange(100)}"))
    return f"{sign}{source.randrange(10 ** source.randint(1, 9))}{fraction}"


def make_row(source: random.Random) -> dict:
    levels = [[decimal(source), decimal(source)] for _ in range(source.randrange(5))]
    row = {
        "s": source.choice(("BTCUSDT", "ETHUSDT", "X")),
        "i": source.randint(-(10**17), 10**17),
        "d": decimal(source),
        "f": source.random() < 0.5,
        "b": levels,
        "a": levels[::-1],
    }
    for name in ("x", "n"):
        if source.random() < 0.4:
            row[name] = source.choice(EXTRAS)
    if source.random() < 0.2:
        return dict(source.sample(list(row.items()), len(row)))
    return row


@pytest.fixture
def by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", None)


def frame(row: object) -> bytes:
    return json.dumps({"stream": "x", "data": row}).encode()


def frames(payloads: list[bytes]) -> Frames:
    return Frames(payloads, range(len(payloads)))


def plain(column: Numbers) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def summary(found: Decoded) -> dict[str, object]:
    return {
        "s": found.symbols("s").per_row(),
        "i": found.integers("i").tolist(),
        "d": plain(found.numbers("d")),
        "f": found.integers("f").tolist(),
        "b": found.integers("b").tolist(),
        "a": found.integers("a").tolist(),
        "price": plain(found.level_price),
        "size": plain(found.level_size),
    }


def outcome(payloads: list[bytes]) -> object:
    try:
        return summary(SCHEMA.decode(frames(payloads)))
    except FrameError:
        return "refused"


@pytest.mark.parametrize("seed", range(100))
def test_fields_are_what_the_frame_says(seed: int) -> None:
    source = random.Random(seed)
    found = [make_row(source) for _ in range(source.randint(1, 6))]
    decoded = summary(SCHEMA.decode(frames([frame(row) for row in found])))
    assert decoded["s"] == [row["s"] for row in found]
    assert decoded["i"] == [row["i"] for row in found]
    assert decoded["d"] == [Decimal(row["d"]) for row in found]
    assert decoded["f"] == [int(row["f"]) for row in found]
    assert decoded["b"] == [len(row["b"]) for row in found]
    flat = [level for row in found for level in row["b"] + row["a"]]
    assert decoded["price"] == [Decimal(price) for price, _ in flat]
    assert decoded["size"] == [Decimal(size) for _, size in flat]


def damaged(source: random.Random, payload: bytes) -> bytes:
    victim = bytearray(payload)
    at = source.randrange(len(victim))
    byte = source.choice(b'{}[]",:.-019eE \\n\x00\xff')
    match source.randrange(4):
        case 0:
            del victim[at:]
        case 1:
            victim[at] = byte
        case 2:
            victim.insert(at, byte)
        case 3:
            del victim[at]
    return bytes(victim)


@compiled
@pytest.mark.parametrize("seed", range(20))
def test_the_compiled_reader_never_disagrees(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(seed)
    cases = []
    for _ in range(200):
        payloads = [frame(make_row(source)) for _ in range(source.randint(1, 3))]
        payloads[-1] = damaged(source, payloads[-1])
        cases.append(payloads)
    with_library = [outcome(payloads) for payloads in cases]
    monkeypatch.setattr(native, "library", None)
    for payloads, found in zip(cases, with_library, strict=True):
        assert outcome(payloads) == found, payloads


@pytest.mark.parametrize("text", [b'"1 2"', b'" 12"', b'"1\\u0032"', b"12", b'"12"," "'])
def test_a_level_is_two_texts_that_are_numbers(text: bytes) -> None:
    row = {"s": "X", "i": 1, "d": "1.5", "f": True, "b": [["LEVEL", "2"]], "a": []}
    payload = frame(row).replace(b'"LEVEL"', text)
    expected = [Decimal(12)] if text == b'"1\\u0032"' else None
    assert outcome([payload]) == "refused" or plain_price(payload) == expected


def plain_price(payload: bytes) -> list[Decimal]:
    return plain(SCHEMA.decode(frames([payload])).level_price)


@compiled
def test_plain_frames_take_the_compiled_way(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"s": "X", "i": 1, "d": "1.5", "f": True, "b": [["1", "2"]], "a": []}
    monkeypatch.setattr(SCHEMA, "_decode_by_reference", None)
    assert SCHEMA.decode(frames([frame(row)])).integers("i").tolist() == [1]


@pytest.mark.parametrize("library", [None, native.library])
def test_the_first_pattern_decides(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", library)
    patterns = Patterns([b"@trade", b"stream"], window_bytes=14)
    payloads = [b'{"stream@trade"', b'{"stream":1}', b"{}", b"", b"0123456789ab@trade"]
    assert patterns.classify(frames(payloads)).tolist() == [0, 1, 2, 2, 2]


def make_trades(numbers: list[tuple[int, int]]) -> TradeRows:
    count = len(numbers)
    price = np.array([price for price, _ in numbers], dtype=np.int64)
    return TradeRows(
        Symbols.of([f"S{number % 3}" for number in range(count)]),
        Numbers(price, 2),
        Numbers(price, np.array([number % 4 for number in range(count)], dtype=np.int64)),
        np.array([1 + number % 2 for number in range(count)], dtype=np.int64),
        price,
        price,
        np.array([number for _, number in numbers], dtype=np.int64),
    )


@given(
    st.lists(
        st.tuples(st.integers(-(10**14), 10**14), st.integers(0, 2**62)), min_size=1, max_size=40
    )
)
def test_written_columns_are_protobuf(numbers: list[tuple[int, int]]) -> None:
    rows = make_trades(numbers)
    draft = encode.trades(rows)
    batch = batch_pb2.MarketDataBatch.FromString(draft.columns)
    assert list(batch.trades.price) == rows.price.unscaled.tolist()
    assert list(batch.trades.trade_id) == rows.trade_id.tolist()
    assert list(batch.trades.instrument) == rows.symbols.row.tolist()
    assert list(batch.trades.venue_time_ns) == rows.venue_time_ns.tolist()
    scales = [draft.instruments[index].size_scale for index in batch.trades.instrument]
    sizes = [to_decimal(*pair) for pair in zip(batch.trades.size, scales, strict=True)]
    assert sizes == plain(rows.size)
    assert draft.events == len(numbers)


def test_without_a_compiler_the_same_columns_are_written(by_reference: None) -> None:
    rows = make_trades([(-5, 1), (10**14, 2**62), (0, 0)])
    batch = batch_pb2.MarketDataBatch.FromString(encode.trades(rows).columns)
    assert list(batch.trades.price) == [-5, 10**14, 0]
    assert list(batch.trades.trade_id) == [1, 2**62, 0]
