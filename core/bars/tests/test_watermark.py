import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.bars.tests.market import SECOND_NS
from core.bars.watermark import Watermark

LATENESS_NS = 2 * SECOND_NS


def _passed(watermark: Watermark, times: list[int], received: list[int] = ()) -> list[int] | None:
    found = watermark.pass_trades(np.array(times), np.array(received or times))
    return None if found is None else found.tolist()


@given(st.lists(st.lists(st.integers(0, 40), min_size=1), min_size=1))
def test_watermark_before_each_trade_follows_earlier_trades(lists) -> None:
    watermark, newest = Watermark(LATENESS_NS), 0
    for quarters in lists:
        times = [quarter * SECOND_NS // 4 for quarter in quarters]
        before = []
        for time_ns in times:
            before.append(newest - LATENESS_NS)
            newest = max(newest, time_ns)
        found = _passed(watermark, times)
        late = [
            time_ns // SECOND_NS * SECOND_NS + SECOND_NS <= mark
            for time_ns, mark in zip(times, before, strict=True)
        ]
        assert found == before if any(late) else found in (None, before)
        assert watermark.newest_ns == newest


def test_trades_in_order_are_never_late() -> None:
    times = [second * SECOND_NS for second in range(1000)]
    assert _passed(Watermark(0), times) is None


def test_date_far_ahead_of_receipt_moves_the_watermark_little() -> None:
    watermark = Watermark(LATENESS_NS, ahead_max_ns=SECOND_NS)
    now = 1000 * SECOND_NS
    _passed(watermark, [now, now * 9, now], [now, now, now])
    assert watermark.newest_ns == now + SECOND_NS
    replay = Watermark(LATENESS_NS)
    _passed(replay, [now * 9], [now])
    assert replay.newest_ns == now * 9


def test_watermark_never_falls() -> None:
    watermark = Watermark(LATENESS_NS, newest_ns=100)
    watermark.reach(50)
    _passed(watermark, [60])
    assert (watermark.newest_ns, watermark.time_ns) == (100, 100 - LATENESS_NS)
