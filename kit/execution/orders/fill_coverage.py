"""The spans of time of which all fills of an account are known, so that a reading of the venue's
fills that was interrupted continues where it was."""

from collections.abc import Iterable
from itertools import pairwise

from kit.execution.contract import NO_END_NS, VenueFill, VenueOrder
from kit.execution.journal.records import FillCoverageRecord

Spans = tuple[tuple[int, int], ...]
"""Begin and end of each span, ns, in order and apart. An end is not part of its span."""


class FillCoverage:
    """What is known of one account's fills, by symbol; "" is all symbols."""

    def __init__(self) -> None:
        self._spans: dict[str, Spans] = {}
        self._counts: dict[str, int] = {}
        self._finished: set[str] = set()
        self.is_complete = False
        """Whether nothing of the venue's list of fills has to be read now."""

    @property
    def count(self) -> int:
        """Fills that the venue has listed in the listing that is read, or was read last."""
        return sum(self._counts.values())

    @property
    def known_until_ns(self) -> int:
        """All fills before this time are known; 0 before the first listing."""
        return min((spans[0][1] for spans in self._spans.values()), default=0)

    def until_ns(self, symbol: str) -> int:
        """All fills of the symbol before this time are known; 0 before its first listing."""
        spans = self._spans.get(symbol) or self._spans.get("")
        return spans[0][1] if spans else 0

    def missing(self, symbol: str, since_ns: int) -> Spans:
        """Return the spans from a time on of which fills may not be known."""
        spans = ((0, since_ns), *self._spans.get(symbol, ()), (NO_END_NS, NO_END_NS))
        known = _merged(spans)
        return tuple((before[1], after[0]) for before, after in pairwise(known))

    def keep(self, symbols: Iterable[str]) -> None:
        """Forget all symbols but these: their fills are not listed."""
        self._spans = {name: self._spans[name] for name in symbols if name in self._spans}

    def finish(self, symbol: str) -> None:
        """The listing is complete: count the fills of the next one from 0."""
        self._finished.add(symbol)

    def add(self, symbol: str, begin_ns: int, end_ns: int, count: int = 0) -> None:
        """Add a span of which all fills are known now, with so many of the venue's."""
        if count and symbol in self._finished:
            self._finished.remove(symbol)
            self._counts[symbol] = 0
        self._counts[symbol] = self._counts.get(symbol, 0) + count
        if begin_ns < end_ns:
            self._spans[symbol] = _merged((*self._spans.get(symbol, ()), (begin_ns, end_ns)))

    def record(
        self, symbol: str, unmatched: Iterable[list[VenueOrder | VenueFill]]
    ) -> FillCoverageRecord:
        """Return the record of one symbol, without the span of fills that are not in the journal:
        ``unmatched``, by order."""
        times = [
            update.venue_time_ns
            for updates in unmatched
            for update in updates
            if isinstance(update, VenueFill) and symbol in ("", update.symbol)
        ]
        spans = self._spans.get(symbol, ())
        if times:
            spans = _without(spans, min(times), max(times) + 1)
        count = 0 if symbol in self._finished else self._counts.get(symbol, 0)
        return FillCoverageRecord(symbol, spans, count)

    def records(
        self, unmatched: Iterable[list[VenueOrder | VenueFill]]
    ) -> list[FillCoverageRecord]:
        """Return the records of all symbols."""
        kept = list(unmatched)
        return [self.record(symbol, kept) for symbol in self._spans]

    def replay(self, record: FillCoverageRecord) -> None:
        """Apply a record of the journal."""
        self._counts[record.symbol] = record.count
        if record.spans:
            self._spans[record.symbol] = record.spans


def _merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """The same times in as few spans as possible."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return tuple(merged)


def _without(spans: Spans, begin: int, end: int) -> Spans:
    """The spans without the times from ``begin`` to ``end``."""
    parts = [
        part
        for first, last in spans
        for part in ((first, min(last, begin)), (max(first, end), last))
    ]
    return tuple((first, last) for first, last in parts if first < last)
