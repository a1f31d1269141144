"""Columns of bars as the numbers that strategies see, and files of signals."""

import csv
import io

import numpy as np
import pyarrow as pa
import pytest
from venuemesh.events.v1 import event_pb2

from kit.storage.reader.columns import BARS, Columns
from kit.strategy.instance import feature_bar
from kit.strategy.tests.market import bar, instance
from ops.errors import UsageError
from ops.strategy import signal_files
from ops.strategy.past_signals import PastEvent, feature_bars


def columns(*bars, scale):
    """Those of History.ReadBars."""
    names = ("open", "high", "low", "close", "volume", "buy_volume", "quote_volume")
    scales = dict.fromkeys(names, scale)
    values = {
        name: np.array([round(float(getattr(one, name)) * 10**scale) for one in bars])
        for name in names
    }
    for name in ("trade_count", "open_time_ns", "close_time_ns", "covered_ns", "revision", "final"):
        values[name] = np.array([int(getattr(one, name)) for one in bars])
    values["symbol"] = np.zeros(len(bars), dtype=np.int64)
    return Columns(BARS, ["BTCUSDT"], values, scales)


@pytest.mark.parametrize("scale", [1, 6, 14])
def test_columns_have_the_numbers_of_the_bars(scale):
    """Also where they do not fit a float exactly."""
    made = [bar(number, 100.5 + number) for number in range(5)]
    assert list(feature_bars(columns(*made, scale=scale))) == list(map(feature_bar, made))


def test_bars_that_are_not_final_are_left_out():
    made = [bar(0), bar(1, final=False)]
    assert list(feature_bars(columns(*made, scale=2))) == [feature_bar(bar(0))]


@pytest.fixture
def found():
    of = instance()
    events = (of.update(bar(number), of_position) for number, of_position in enumerate([0, 0]))
    return [PastEvent(event, is_recorded=True) for event in events if event is not None]


def test_files_have_the_events_as_they_are_stored(found, tmp_path):
    opened = io.StringIO()
    signal_files.write_csv(opened, found)
    rows = list(csv.DictReader(io.StringIO(opened.getvalue())))
    assert [row["action"] for row in rows] == ["open", "open"]
    events = [event_pb2.Event.FromString(bytes.fromhex(row["event"])) for row in rows]
    assert events == [one.event for one in found]
    signal_files.write(tmp_path / "found.arrow", found)
    with pa.memory_map(str(tmp_path / "found.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.column_names == list(signal_files.NAMES)
    assert table["event"].to_pylist() == [bytes.fromhex(row["event"]) for row in rows]
    signal_files.write(tmp_path / "none.arrow", [])
    with pytest.raises(UsageError, match=r"ends with \.csv or \.arrow"):
        signal_files.require_known(tmp_path / "found.txt")
