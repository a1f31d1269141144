import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.history.time_spans import TimeSpanSet

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


def moments(spans):
    """The same as a set."""
    return {moment for start, end in spans for moment in range(start, end)}


@given(SPANS, SPANS)
def test_spans_are_sets_of_times(spans, asked):
    found = TimeSpanSet.of(spans)
    assert moments(found.pairs()) == moments(spans)
    assert all(start < end for start, end in found.pairs())
    ends = [end for _, end in found.pairs()]
    assert all(end < start for end, (start, _) in zip(ends, found.pairs()[1:], strict=False))
    asked = [span for span in asked if span[0] < span[1]]
    starts, stops = np.array(asked, dtype=np.int64).reshape(-1, 2).T
    common = [len(moments(spans) & moments([span])) for span in asked]
    assert found.within(starts, stops).tolist() == common
    assert found.touched_by(starts, stops).tolist() == [
        int(bool(moments(spans) & moments([span]))) for span in asked
    ]
    for span in asked:
        assert moments(found.missing_in(span)) == moments([span]) - moments(spans)
