from decimal import Decimal, localcontext

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.recorder.binary_copy import IntegerField, NumericField, encode
from kit.base.numbers import to_decimal

INT64 = st.integers(-(2**63), 2**63 - 1)
SCALES = st.integers(0, 36)
ROWS = st.lists(st.tuples(INT64 | st.integers(-10_000, 10_000), SCALES), max_size=30)
EDGES = [0, 1, -1, 9, 10, 9_999, 10_000, 10_001, 99_999_999, 10**18, 2**63 - 1, -(2**63)]


@pytest.fixture
def connection(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE numbers (place int, value numeric)")
        yield connection


def stored(connection, unscaled, scale):
    """What PostgreSQL reads from the encoded column."""
    connection.execute("TRUNCATE numbers")
    values = np.array(unscaled, dtype=np.int64)
    data = encode(
        len(values), [IntegerField(np.arange(len(values)), 4), NumericField(values, scale)]
    )
    with connection.cursor().copy("COPY numbers FROM STDIN (FORMAT BINARY)") as copy:
        for part in data:
            copy.write(part)
    return [row[0] for row in connection.execute("SELECT value FROM numbers ORDER BY place")]


def exact(unscaled, scale):
    with localcontext(prec=100):
        return to_decimal(unscaled, scale)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_numbers_of_many_scales_are_stored_exactly(connection, rows):
    unscaled, scales = [value for value, _ in rows], [scale for _, scale in rows]
    found = stored(connection, unscaled, np.array(scales, dtype=np.int64))
    assert found == [exact(value, scale) for value, scale in rows]


@pytest.mark.parametrize("scale", range(19))
def test_numbers_of_one_scale_are_stored_exactly(connection, scale):
    found = stored(connection, EDGES, scale)
    assert found == [exact(value, scale) for value in EDGES]
    assert {number.as_tuple().exponent for number in found} == {-scale}


def test_zero_is_stored(connection):
    assert stored(connection, [0], 8) == [Decimal(0)]


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_of_any_length_end_the_rows(connection, texts):
    connection.execute("DROP TABLE IF EXISTS words")
    connection.execute("CREATE TABLE words (place bigint, small smallint, word text)")
    places = np.arange(len(texts))
    data = encode(
        len(texts),
        [IntegerField(places, 8), IntegerField(places % 7, 2)],
        [text.encode() for text in texts],
    )
    with connection.cursor().copy("COPY words FROM STDIN (FORMAT BINARY)") as copy:
        for part in data:
            copy.write(part)
    found = connection.execute("SELECT place, small, word FROM words ORDER BY place").fetchall()
    assert found == [(place, place % 7, text) for place, text in enumerate(texts)]
