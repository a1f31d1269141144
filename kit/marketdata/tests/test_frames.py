"""The compiled reader and writer agree with their references, whatever they are given."""

import json
import random
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.numbers import to_decimal
from kit.marketdata import native
from kit.marketdata.codec import encode
from kit.marketdata.frames import (
    DecodedFrames,
    Field,
    FrameError,
    FramePatterns,
    Frames,
    FrameSchema,
    LevelList,
    optional,
    reference_reader,
)
from kit.marketdata.model.columns import NumberColumn, PriceLevels, SymbolColumn, TradeRows

SCHEMA = FrameSchema(
    "data[]",
    {
        "s": Field.TEXT,
        "i": Field.INTEGER,
        "d": Field.DECIMAL,
        "f": Field.FLAG,
        "t": Field.TIME,
        "id": Field.IDENTIFIER,
        "o": optional(Field.DECIMAL),
        "w": optional(Field.TEXT),
        "b": LevelList.bids(0, 1),
        "a": LevelList.asks("price", "qty"),
        "c": optional(LevelList.sided(1, 2, side=0, bid="buy")),
    },
    outer={"stream": Field.TEXT, "at.ts": Field.INTEGER},
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
        "i": str(source.randint(-(10**17), 10**17)),
        "d": decimal(source),
        "f": source.random() < 0.5,
        "t": source.choice(("2026-07-20T03:39:38.235508Z", "2024-02-29T00:00:00Z")),
        "id": f"id-{source.randrange(10**6)}",
        "b": levels,
        "a": [{"qty": size, "x": None, "price": price} for price, size in levels[::-1]],
    }
    if source.random() < 0.5:
        row["o"] = source.choice((None, decimal(source)))
    if source.random() < 0.5:
        row["w"] = source.choice(("north", "south"))
    if source.random() < 0.5:
        row["c"] = [[source.choice(("buy", "sell")), *level, "0"] for level in levels]
    for name in ("x", "n"):
        if source.random() < 0.4:
            row[name] = source.choice(EXTRAS)
    if "c" not in row and source.random() < 0.2:
        return dict(source.sample(list(row.items()), len(row)))
    return row


@pytest.fixture
def by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", None)


def frame(*rows: object) -> bytes:
    return json.dumps({"stream": "x", "data": rows, "at": {"ts": 7}}).encode()


def frames(payloads: list[bytes]) -> Frames:
    return Frames(payloads, range(len(payloads)))


def plain(column: NumberColumn) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def pairs(levels: PriceLevels) -> list[list[tuple[Decimal, Decimal]]]:
    rest = list(zip(plain(levels.price), plain(levels.size), strict=True))
    found = []
    for count in levels.count.tolist():
        found.append(rest[:count])
        rest = rest[count:]
    return found


def summary(found: DecodedFrames) -> dict[str, object]:
    return {
        "s": found.symbols("s").per_row(),
        "i": found.integers("i").tolist(),
        "d": plain(found.numbers("d")),
        "f": found.integers("f").tolist(),
        "t": found.integers("t").tolist(),
        "id": found.identifiers("id"),
        "o": plain(found.numbers("o")),
        "w": found.symbols("w").per_row(),
        "stream": found.symbols("stream").per_row(),
        "ts": found.integers("at.ts").tolist(),
        "frame": found.frame.tolist(),
        "bids": pairs(found.bids),
        "asks": pairs(found.asks),
    }


def outcome(payloads: list[bytes]) -> object:
    try:
        return summary(SCHEMA.decode(frames(payloads)))
    except FrameError:
        return "refused"


TIMES = {
    "2026-07-20T03:39:38.235508Z": 1784518778235508000,
    "2024-02-29T00:00:00Z": 1709164800000000000,
}


@pytest.mark.parametrize("seed", range(100))
def test_fields_are_what_the_frame_says(seed: int) -> None:
    source = random.Random(seed)
    sent = [[make_row(source) for _ in range(source.randrange(4))] for _ in range(6)]
    decoded = summary(SCHEMA.decode(frames([frame(*rows) for rows in sent])))
    found = [row for rows in sent for row in rows]
    assert decoded["frame"] == [number for number, rows in enumerate(sent) for _ in rows]
    assert decoded["s"] == [row["s"] for row in found]
    assert decoded["i"] == [int(row["i"]) for row in found]
    assert decoded["d"] == [Decimal(row["d"]) for row in found]
    assert decoded["f"] == [int(row["f"]) for row in found]
    assert decoded["t"] == [TIMES[row["t"]] for row in found]
    assert decoded["id"] == [row["id"] for row in found]
    assert decoded["o"] == [Decimal(row.get("o") or 0) for row in found]
    assert decoded["w"] == [row.get("w", "") for row in found]
    assert decoded["stream"] == ["x"] * len(found)
    assert decoded["ts"] == [7] * len(found)
    for place, row in enumerate(found):
        two_sided = row.get("c", [])
        bids = row["b"] + [level[1:3] for level in two_sided if level[0] == "buy"]
        asks = [[level["price"], level["qty"]] for level in row["a"]]
        asks += [level[1:3] for level in two_sided if level[0] != "buy"]
        for wanted, got in ((bids, decoded["bids"]), (asks, decoded["asks"])):
            assert got[place] == [(Decimal(price), Decimal(size)) for price, size in wanted]


@pytest.mark.parametrize("library", [None, native.library])
@pytest.mark.parametrize("text", ["0.10000000", "5.0e-05", "1E2", "-0.5", "12", "1e-7"])
def test_a_bare_number_is_exact(
    text: str, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", library)
    schema = FrameSchema("", {"p": Field.DECIMAL})
    found = schema.decode(frames([b'{"p":%b}' % text.encode(), b'{"p":"%b"}' % text.encode()]))
    assert plain(found.numbers("p")) == [Decimal(text)] * 2


@pytest.mark.parametrize("library", [None, native.library])
def test_lists_within_lists_know_what_they_stand_in(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", library)
    schema = FrameSchema("e[].r[]", {"p": Field.INTEGER}, {"e[].k": Field.TEXT, "n": Field.INTEGER})
    first = (
        b'{"e":[{"k":"a","r":[{"p":1},{"p":2}]},{"r":[],"k":"q"},{"k":"b","r":[{"p":3}]}],"n":5}'
    )
    found = schema.decode(
        frames([first, b'{"n":6,"e":[]}', b'{"n":7,"e":[{"r":[{"p":4}],"k":"a"}]}'])
    )
    assert found.integers("p").tolist() == [1, 2, 3, 4]
    assert found.symbols("e[].k").per_row() == ["a", "a", "b", "a"]
    assert sorted(found.symbols("e[].k").names) == ["a", "b"]
    assert found.integers("n").tolist() == [5, 5, 5, 7]
    assert found.frame.tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize("library", [None, native.library])
@pytest.mark.parametrize("year", ["0001", "1677", "2263", "9999"])
def test_a_time_outside_of_64_bits_of_ns_is_rejected(
    year: str, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", library)
    schema = FrameSchema("", {"t": Field.TIME})
    with pytest.raises(FrameError):
        schema.decode(frames([b'{"t":"%b-01-01T00:00:00Z"}' % year.encode()]))


@pytest.mark.parametrize("library", [None, native.library])
def test_zeros_behind_a_frame_are_not_its_own(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", library)
    schema = FrameSchema("", {"p": Field.DECIMAL})
    with pytest.raises(FrameError):
        schema.decode(frames([b'{"p":"1' + b"0" * 18, b"0" * 18 + b'"}']))


def test_a_schema_beyond_the_room_of_the_compiled_reader_is_rejected() -> None:
    with pytest.raises(ValueError, match="'' has 65 members; at most 64"):
        FrameSchema("", {f"m{number}": Field.TEXT for number in range(65)})
    with pytest.raises(ValueError, match="4 lists within each other; at most 3"):
        FrameSchema("a[].b[].c[].d[]", {"p": Field.DECIMAL})
    with pytest.raises(ValueError, match=r"e\.b: price levels are read from the innermost rows"):
        FrameSchema("data[]", {"p": Field.DECIMAL}, {"e.b": LevelList.bids(0, 1)})


@pytest.mark.parametrize("count", [native.SYMBOLS_MAX, native.SYMBOLS_MAX + 1])
def test_more_texts_than_the_compiled_reader_tells_apart_are_read(count: int) -> None:
    names = [f"S{number}" for number in range(count)]
    schema = FrameSchema("", {"s": Field.TEXT})
    found = schema.decode(frames([b'{"s":"%b"}' % name.encode() for name in names]))
    assert found.symbols("s").per_row() == names


def test_a_text_must_be_among_the_known_ones() -> None:
    found = FrameSchema("", {"side": Field.TEXT}).decode(
        frames([b'{"side":"buy"}', b'{"side":"sold"}'])
    )
    with pytest.raises(FrameError, match="sold"):
        found.among("side", {"buy": 1, "sell": 2})
    assert found.among("side", {"buy": 1, "sold": 2}).tolist() == [1, 2]


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


@pytest.mark.parametrize("library", [None, native.library])
@pytest.mark.parametrize("level", ['["1 2","2"]', '["1"]', '"12"', "{}", '[true,"2"]', "[]"])
def test_a_level_is_two_numbers(
    level: str, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", library)
    schema = FrameSchema("", {"b": LevelList.bids(0, 1)})
    with pytest.raises(FrameError):
        schema.decode(frames([b'{"b":[%b]}' % level.encode()]))


@compiled
def test_plain_frames_take_the_compiled_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_reader, "decode", None)
    row = make_row(random.Random(1)) | {"d": "1.5", "b": [], "a": [], "x": 1.5, "n": []}
    row.pop("c", None)
    assert SCHEMA.decode(frames([frame(row)])).symbols("s").per_row() == [row["s"]]


@pytest.mark.parametrize("library", [None, native.library])
def test_the_first_pattern_decides(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", library)
    patterns = FramePatterns([b"@trade", b"stream"], window_bytes=14)
    payloads = [b'{"stream@trade"', b'{"stream":1}', b"{}", b"", b"0123456789ab@trade"]
    assert patterns.classify(frames(payloads)).tolist() == [0, 1, 2, 2, 2]


@pytest.mark.parametrize("library", [None, native.library])
def test_a_negative_window_is_at_the_end_of_the_frame(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", library)
    patterns = FramePatterns([b'"trade"}', b"book"], window_bytes=-12)
    payloads = [b'{"a":"book......","b":"trade"}', b'{"e":"book"}', b"{}", b"", b"book...........9"]
    assert patterns.classify(frames(payloads)).tolist() == [0, 1, 2, 2, 2]


def make_trades(numbers: list[tuple[int, int]]) -> TradeRows:
    count = len(numbers)
    price = np.array([price for price, _ in numbers], dtype=np.int64)
    return TradeRows(
        SymbolColumn.of([f"S{number % 3}" for number in range(count)]),
        NumberColumn(price, 2),
        NumberColumn(price, np.array([number % 4 for number in range(count)], dtype=np.int64)),
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
    draft = encode.rows(rows)
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
    batch = batch_pb2.MarketDataBatch.FromString(encode.rows(rows).columns)
    assert list(batch.trades.price) == [-5, 10**14, 0]
    assert list(batch.trades.trade_id) == [1, 2**62, 0]
