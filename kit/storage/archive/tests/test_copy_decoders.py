"""Both readers of a COPY say the same of any rows, and what they say is right."""

import struct
from decimal import Decimal

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.base.numbers import to_decimal
from kit.marketdata import native
from kit.storage.archive.compiled_copy_decoder import CompiledCopyDecoder
from kit.storage.archive.copy_layout import CopyColumn, CopyColumnType, MalformedCopy, framed
from kit.storage.archive.reference_copy_decoder import ReferenceCopyDecoder

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
KINDS = st.sampled_from(CopyColumnType)
LAYOUTS = st.lists(st.tuples(KINDS, st.booleans()), min_size=1, max_size=6)

needs_native = pytest.mark.skipif(native.library is None, reason="there is no C compiler")
READERS = [ReferenceCopyDecoder, pytest.param(CompiledCopyDecoder, marks=needs_native)]


def layout_of(columns):
    return [CopyColumn(f"c{place}", kind, null) for place, (kind, null) in enumerate(columns)]


def row_of(values):
    parts = [struct.pack(">h", len(values))]
    for value in values:
        parts.append(struct.pack(">i", -1 if value is None else len(value)))
        parts.append(value or b"")
    return b"".join(parts)


def copy_of(rows):
    first, *rest = [*map(row_of, rows), TRAILER]
    return b"".join(map(framed, [HEADER + first, *rest]))


@st.composite
def numerics(draw):
    """As the server sends them, and as it never would."""
    groups = draw(st.lists(st.sampled_from([0, 1, 10, 1200, 9999, 65535]), max_size=7))
    weight = draw(st.sampled_from([-9, -2, -1, 0, 1, 2, 4, 30000, -30000]))
    sign = draw(st.sampled_from([0, 0x4000, 0xC000]))
    count = len(groups) + draw(st.sampled_from([0, 0, 0, 1]))
    return struct.pack(f">HhHH{len(groups)}H", count, weight, sign, 2, *groups)


INTEGERS = st.sampled_from([1, 2, 4, 8]).flatmap(
    lambda size: st.binary(min_size=size, max_size=size)
)
VALUES = {
    CopyColumnType.INTEGER: INTEGERS,
    CopyColumnType.NUMERIC: numerics(),
    CopyColumnType.BYTES: st.binary(max_size=20),
}


@st.composite
def copies(draw):
    """Columns, and the bytes of some rows, of which some may be broken."""
    columns = draw(LAYOUTS)
    row = st.tuples(*(st.none() | VALUES[kind] if null else VALUES[kind] for kind, null in columns))
    data = bytearray(copy_of(draw(st.lists(row, max_size=8))))
    for _ in range(draw(st.sampled_from([0, 0, 1]))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return columns, bytes(data)


def read(reader, layout, data, step):
    """What one reader says of bytes that come in pieces."""
    decoder, waiting = reader(layout), b""
    try:
        for start in range(0, len(data), step):
            waiting += data[start : start + step]
            waiting = waiting[decoder.feed(waiting) :]
    except MalformedCopy as error:
        return str(error), decoder.row_count
    table = decoder.table()
    found = [len(waiting), decoder.row_count]
    for column in layout:
        found.append(table.nulls(column.name).tolist() if column.null else None)
        match column.kind:
            case CopyColumnType.INTEGER:
                found.append(table.integers(column.name).tolist())
            case CopyColumnType.NUMERIC:
                numbers = table.numbers(column.name)
                found.append([numbers.unscaled.tolist(), str(numbers.decimals)])
            case CopyColumnType.BYTES:
                found.append(table.pooled(column.name).bytes())
    return found


@needs_native
@given(copies(), st.sampled_from([1, 7, 64, 1 << 20]))
def test_both_decoders_agree(made, step):
    columns, data = made
    layout = layout_of(columns)
    assert read(CompiledCopyDecoder, layout, data, step) == read(
        ReferenceCopyDecoder, layout, data, step
    )


@pytest.mark.parametrize("reader", READERS)
def test_server_data_are_decoded_exactly(reader, postgres_url):
    prices = ["0", "1", "61837.63", "-0.00000001", "120000", "10000.0001", "999999999999999999"]
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE t (a bool, b int2, c int4, d int8, p numeric, t text)")
        for price in prices:
            row = [True, -2, 3, -(2**62), Decimal(price), f"é{price}"]
            connection.execute("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s)", row)
        connection.execute("INSERT INTO t (a) VALUES (false)")
        with connection.cursor().copy("COPY t TO STDOUT (FORMAT BINARY)") as copy:
            data = b"".join(framed(bytes(part)) for part in copy)
    kinds = [CopyColumnType.INTEGER] * 4 + [CopyColumnType.NUMERIC, CopyColumnType.BYTES]
    decoder = reader(
        [CopyColumn(name, kind, True) for name, kind in zip("abcdpt", kinds, strict=True)]
    )
    assert decoder.feed(data) == len(data)
    table = decoder.table()
    some = len(prices)
    assert table.integers("a").tolist() == [1] * some + [0]
    assert table.integers("b").tolist() == [-2] * some + [0]
    assert table.integers("d").tolist() == [-(2**62)] * some + [0]
    numbers = table.numbers("p")
    found = list(map(to_decimal, numbers.unscaled.tolist(), numbers.decimals.tolist()))
    assert found == [*map(Decimal, prices), 0]
    assert table.pooled("t").texts() == [*(f"é{price}" for price in prices), ""]
    assert table.nulls("c").tolist() == [False] * some + [True]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "1000000000000000000", "0.1234567890123456789"]
)
def test_a_number_that_cannot_be_kept_is_an_error(reader, text, postgres_url):
    with (
        psycopg.connect(postgres_url) as connection,
        connection.cursor().copy(
            f"COPY (SELECT 1, '{text}'::numeric) TO STDOUT (FORMAT BINARY)"
        ) as copy,
    ):
        data = b"".join(framed(bytes(part)) for part in copy)
    decoder = reader([CopyColumn("one"), CopyColumn("price", CopyColumnType.NUMERIC)])
    with pytest.raises(MalformedCopy, match="row 0, column price: is no number"):
        decoder.feed(data)


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_value_is_an_error(reader):
    with pytest.raises(MalformedCopy, match="row 1, column c0: is null"):
        reader(layout_of([(CopyColumnType.INTEGER, False)])).feed(copy_of([(b"\1",), (None,)]))
