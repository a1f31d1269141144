"""Spans, and how a trace is passed on: W3C Trace Context."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

TRACEPARENT = "traceparent"
TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8
SAMPLED = 1
_FORMAT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

Metadata = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class SpanContext:
    """The place of a span in its trace."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool

    @classmethod
    def new(cls, *, is_sampled: bool) -> "SpanContext":
        """The first span of a new trace."""
        return cls(random.randbytes(TRACE_ID_BYTES), random.randbytes(SPAN_ID_BYTES), is_sampled)

    @classmethod
    def of(cls, metadata: Metadata) -> "SpanContext | None":
        """The span of the caller; None if there is none."""
        shown = next((str(value) for key, value in metadata if key == TRACEPARENT), "")
        found = _FORMAT.fullmatch(shown)
        if found is None:
            return None
        trace_id, span_id = bytes.fromhex(found[1]), bytes.fromhex(found[2])
        if not any(trace_id) or not any(span_id):
            return None
        return cls(trace_id, span_id, bool(int(found[3], 16) & SAMPLED))

    def child(self) -> "SpanContext":
        return SpanContext(self.trace_id, random.randbytes(SPAN_ID_BYTES), self.is_sampled)

    @property
    def metadata(self) -> tuple[str, str]:
        """What a call shows that is made within this span."""
        flags = SAMPLED if self.is_sampled else 0
        return TRACEPARENT, f"00-{self.trace_id.hex()}-{self.span_id.hex()}-{flags:02x}"


@dataclass(slots=True)
class Span:
    """A part of the work for a call."""

    name: str
    context: SpanContext
    parent_id: bytes
    """Empty: the first span of its trace."""
    is_call: bool
    """A call that is served; otherwise one to a store."""
    start_time_ns: int
    attributes: dict[str, str]
    end_time_ns: int = 0
    error: str = ""
