"""Messages between the detector and a worker process.

Each message is MessagePack after its length, four bytes, big-endian. The detector sends a Batch
when all requests of the batch before have been answered; each is answered once, in order.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from kit.strategy.strategy_terms import StrategyTerms

LENGTH_BYTES = 4
ANSWER_BYTES_MAX = 64 << 20
STATE_BYTES_MAX = 1 << 20
SIGNAL_BYTES_MAX = 256 << 10
EXPLANATION_BYTES_MAX = 1 << 20
EVALUATIONS_BYTES_MAX = 2 << 20
REASON_CHARACTERS_MAX = 1_000
SERIES_MAX = 1_000

_Reason = Annotated[str, Meta(max_length=2 * REASON_CHARACTERS_MAX)]


class Source(msgspec.Struct, frozen=True):
    """A file, and the strategy to use."""

    file: str
    content: bytes
    parameters: Mapping[str, str]
    strategy: str
    """Its name in the file; empty: the only one."""
    name: str
    """Under which it runs; empty: that in the file."""


class LoadAll(msgspec.Struct, frozen=True, tag=True):
    """Load a file: Loaded."""

    source: Source


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load one strategy of a file: Loaded."""

    source: Source


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Make an instance: Begun."""

    instance: int
    """Number of the instance, chosen by the detector."""
    source: Source
    venue: str
    symbol: str
    state: bytes | None


class Step(msgspec.Struct, frozen=True, array_like=True):
    """A bar, and the other market data that came with it."""

    bar: bytes
    """Bar in protobuf."""
    inputs: list[tuple[int, int, list[Any], int]] = []
    """The fields of InputStep. Whole numbers stay whole: among them are times in nanoseconds."""


class WarmUp(msgspec.Struct, frozen=True, tag=True):
    """See bars: Done."""

    instance: int
    steps: list[Step]


class Update(msgspec.Struct, frozen=True, tag=True):
    """Evaluate bars: Updated."""

    instance: int
    steps: list[Step]
    position: str
    """Decimal text."""


class Explain(msgspec.Struct, frozen=True, tag=True):
    """Return the scores of the rules: Explained."""

    instance: int
    bar: bytes | None


class ReadEvaluations(msgspec.Struct, frozen=True, tag=True):
    """Return what was computed on the newest bars: Evaluations."""

    instance: int
    after_time_ns: int


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Forget an instance: Done."""

    instance: int


Request: TypeAlias = LoadAll | Load | Begin | WarmUp | Update | Explain | ReadEvaluations | Drop


class Batch(msgspec.Struct, frozen=True):
    """Requests. A process reads all of them before it calls any code."""

    requests: list[Request]


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The strategies of a file."""

    terms: Annotated[list[StrategyTerms], Meta(min_length=1, max_length=1_000)]


class Begun(msgspec.Struct, frozen=True, tag=True):
    """An instance is there."""

    series: Annotated[list[tuple[str, str, int]], Meta(max_length=SERIES_MAX)]
    """What it needs besides bars: instrument, name of the kind, levels."""
    begins: bool
    """Whether it started without a state."""


class Done(msgspec.Struct, frozen=True, tag=True):
    """It is done."""


class Updated(msgspec.Struct, frozen=True, tag=True):
    """What follows from bars."""

    signals: list[tuple[int, Annotated[bytes, Meta(max_length=SIGNAL_BYTES_MAX)]]]
    """Place of the bar in the request, and SignalRaised in protobuf."""
    state: Annotated[bytes, Meta(max_length=STATE_BYTES_MAX)]


class Explained(msgspec.Struct, frozen=True, tag=True):
    """The scores of the rules."""

    answer: Annotated[bytes, Meta(max_length=EXPLANATION_BYTES_MAX)]
    """ExplainResponse in protobuf."""


class Evaluations(msgspec.Struct, frozen=True, tag=True):
    """What was computed on the newest bars."""

    answer: Annotated[bytes, Meta(max_length=EVALUATIONS_BYTES_MAX)]
    """GetEvaluationsResponse in protobuf."""


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The code of the strategy has raised an error. The instance is forgotten."""

    line: int
    """Of its file, from 1."""
    reason: _Reason
    ends_worker: bool = False
    """The process is in no state to go on."""


Answer: TypeAlias = Loaded | Begun | Done | Updated | Explained | Evaluations | Failed
AnswerType = TypeVar("AnswerType", Loaded, Begun, Done, Updated, Explained, Evaluations)


class Limits(msgspec.Struct, frozen=True):
    """The first message to a process."""

    memory_bytes_max: int
    """Of the process, more than it has at the beginning."""
    instance_memory_bytes_max: int


class Restrictions(msgspec.Struct, frozen=True):
    """The first message of a process: of each restriction why it is not in force; empty: it is."""

    files: _Reason
    system_calls: _Reason
    user: _Reason

    @property
    def missing(self) -> str:
        """What is not in force and must be where keys are; empty: nothing."""
        found = {"files": self.files, "system calls": self.system_calls}
        return "; ".join(f"{name}: {reason}" for name, reason in found.items() if reason)


def frame(message: bytes) -> bytes:
    """A message with its length."""
    return len(message).to_bytes(LENGTH_BYTES, "big") + message
