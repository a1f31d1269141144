"""Which frames of a tape fit what clients have subscribed to, and what to do when few do.

A tape of ten book levels played to a connector that subscribes to all of them sends nothing: the
exchange has a stream for each. Nothing else would say so.
"""

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from kit.simulator.dialect import CONVERSATION, SNAPSHOT, UNKNOWN, Stream

STREAMS_SHOWN = 4
_NOT_SENT = frozenset({SNAPSHOT, CONVERSATION})
"""Answers to calls: no client subscribes to them."""


class TapeFit:
    """Counts frames by stream, of those that were played. Until then the tape's first frames tell
    what is on it."""

    def __init__(self, venue_id: str, head: Iterable[Stream]) -> None:
        self.fitting = 0
        """Frames played while a client was subscribed to their stream."""
        self._venue_id = venue_id
        self._head = set(head) - _NOT_SENT
        self._unasked: Counter[Stream] = Counter()
        self._fitting_streams: set[Stream] = set()
        self._asked: set[Stream] = set()
        self._finished = False

    def subscribed(self, wanted: Iterable[Stream]) -> None:
        """Clients want these streams now."""
        self._asked.update(wanted)

    def played(self, streams: Iterable[Stream], wanted: Collection[Stream]) -> None:
        """A frame of each of these streams was played; clients wanted those."""
        self._asked.update(wanted)
        for stream, count in Counter(streams).items():
            if stream in wanted:
                self.fitting += count
                self._fitting_streams.add(stream)
            elif stream not in _NOT_SENT:
                self._unasked[stream] += count

    def finish(self) -> None:
        """All of the tape was played."""
        self._finished = True

    @property
    def unasked(self) -> Mapping[str, int]:
        """Frames played that no client had subscribed to, by stream name, the most first."""
        return {stream.name: count for stream, count in self._unasked.most_common()}

    @property
    def problem(self) -> str:
        """Why few or no frames fit, and what to do. Empty when the tape fits."""
        if not self._asked:
            return ""
        on_tape = self._head | self._unasked.keys() | self._fitting_streams
        if on_tape and on_tape <= {UNKNOWN}:
            return f"no frame of the tape is one of {self._venue_id}: is it another venue's tape?"
        missing = sorted(self._asked - on_tape, key=_name)
        others = [stream for stream in on_tape - self._asked if stream is not UNKNOWN]
        pairs = [(one, near) for one in missing if (near := _nearest(one, others))]
        if not pairs and self._asked & on_tape:
            return ""
        if not pairs and not others:
            return ""
        found = [self._counted(), *self._told(pairs, missing, others), self._advice()]
        return "; ".join(found)

    def _counted(self) -> str:
        """Exact at the end only: until then the text stays the same while frames are played."""
        if self._finished:
            total = self.fitting + self._unasked.total()
            return f"{self.fitting:,} of {total:,} frames fit a subscription"
        return "some frames fit no subscription" if self.fitting else "no frame fits a subscription"

    def _told(
        self,
        pairs: Sequence[tuple[Stream, Stream]],
        missing: Sequence[Stream],
        others: Sequence[Stream],
    ) -> list[str]:
        if pairs:
            near = (f"{one.name} (on the tape: {other.name})" for one, other in pairs)
            return [f"subscribed to and not on the tape: {_some(list(near))}"]
        return [
            f"subscribed to and not on the tape: {_some([one.name for one in missing])}",
            f"on the tape: {_some(sorted(one.name for one in others))}",
        ]

    def _advice(self) -> str:
        return (
            f"set venues.{self._venue_id}.options and symbols to what the tape has,"
            " or play a tape of these streams"
        )


def _nearest(wanted: Stream, others: Iterable[Stream]) -> Stream | None:
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


def _name(stream: Stream) -> str:
    return stream.name
