"""Which frames of a capture fit what clients have subscribed to, and what to do when few do.

A capture of ten book levels played to a connector that subscribes to all of them sends nothing: the
exchange has a stream for each. Nothing else would say so.
"""

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, ExchangeStream

STREAMS_SHOWN = 4
_NOT_SENT = frozenset({SNAPSHOT, RESPONSE})
"""Answers to calls: no client subscribes to them."""


class CaptureSubscriptionCheck:
    """Counts frames by stream, of those that were played. Until then the capture's first frames
    tell what is on it."""

    def __init__(self, venue_id: str, head: Iterable[ExchangeStream]) -> None:
        self.fitting = 0
        """Frames played while a client was subscribed to their stream."""
        self._venue_id = venue_id
        self._head = set(head) - _NOT_SENT
        self._unasked: Counter[ExchangeStream] = Counter()
        self._fitting_streams: set[ExchangeStream] = set()
        self._asked: set[ExchangeStream] = set()
        self._finished = False

    def subscribed(self, wanted: Iterable[ExchangeStream]) -> None:
        """Clients want these streams now."""
        self._asked.update(wanted)

    def played(self, streams: Iterable[ExchangeStream], wanted: Collection[ExchangeStream]) -> None:
        """A frame of each of these streams was played; clients wanted those."""
        self._asked.update(wanted)
        for stream, count in Counter(streams).items():
            if stream in wanted:
                self.fitting += count
                self._fitting_streams.add(stream)
            elif stream not in _NOT_SENT:
                self._unasked[stream] += count

    def finish(self) -> None:
        """All of the capture was played."""
        self._finished = True

    @property
    def unasked(self) -> Mapping[str, int]:
        """Frames played that no client had subscribed to, by stream name, the most first."""
        return {stream.name: count for stream, count in self._unasked.most_common()}

    @property
    def problem(self) -> str:
        """Why few or no frames fit, and what to do. Empty when the capture fits."""
        if not self._asked:
            return ""
        on_tape = self._head | self._unasked.keys() | self._fitting_streams
        if on_tape and on_tape <= {UNKNOWN}:
            return (
                f"no frame of the capture is one of {self._venue_id}:"
                " is it another venue's capture?"
            )
        missing = sorted(self._asked - on_tape, key=_name)
        others = [stream for stream in on_tape - self._asked if stream is not UNKNOWN]
        pairs = [(one, near) for one in missing if (near := _nearest(one, others))]
        if not pairs and self._asked & on_tape:
            return ""
        if not pairs and not others:
            return ""
        found = [self._counted(), *self._reported(pairs, missing, others), self._advice()]
        return "; ".join(found)

    def _counted(self) -> str:
        """Exact at the end only: until then the text stays the same while frames are played."""
        if self._finished:
            total = self.fitting + self._unasked.total()
            return f"{self.fitting:,} of {total:,} frames fit a subscription"
        return "some frames fit no subscription" if self.fitting else "no frame fits a subscription"

    def _reported(
        self,
        pairs: Sequence[tuple[ExchangeStream, ExchangeStream]],
        missing: Sequence[ExchangeStream],
        others: Sequence[ExchangeStream],
    ) -> list[str]:
        if pairs:
            near = (f"{one.name} (on the capture: {other.name})" for one, other in pairs)
            return [f"subscribed to and not on the capture: {_some(list(near))}"]
        return [
            f"subscribed to and not on the capture: {_some([one.name for one in missing])}",
            f"on the capture: {_some(sorted(one.name for one in others))}",
        ]

    def _advice(self) -> str:
        return (
            f"set venues.{self._venue_id}.options and symbols to what the capture has,"
            " or play a capture of these streams"
        )


def _nearest(wanted: ExchangeStream, others: Iterable[ExchangeStream]) -> ExchangeStream | None:
    """The stream of the same channel and symbol whose name is most like the wanted one."""
    alike = {
        other.name: other
        for other in others
        if (other.channel, other.symbol) == (wanted.channel, wanted.symbol)
    }
    names = difflib.get_close_matches(wanted.name, alike, n=1, cutoff=0.0)
    return alike[names[0]] if names else None


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:STREAMS_SHOWN])
    rest = len(names) - STREAMS_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown


def _name(stream: ExchangeStream) -> str:
    return stream.name
