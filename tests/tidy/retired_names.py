"""Names that were metaphors or stood for two things, and must not come back."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests.tidy.project import File, Finding

EVERYWHERE = ("*",)
ORDERS = ("kit/execution/*", "kit/connector/orders/*", "venues/*")


@dataclass(frozen=True)
class RetiredName:
    """A class name that says nothing of the field, and the name to use instead."""

    name: str
    instead: str
    within: tuple[str, ...] = EVERYWHERE
    """Elsewhere the name may be right: ``Entry`` is a term of a double-entry ledger."""


RETIRED_CLASSES = (
    RetiredName("Pilot", "OrderSubmitter"),
    RetiredName("Entry", "Order", ORDERS),
    RetiredName("Wish", "OrderRequest"),
    RetiredName("Desk", "ExecutionClient"),
    RetiredName("Counter", "OrderApiAdapter", ORDERS),
    RetiredName("Hearing", "UserStreamDecoder"),
    RetiredName("Speaking", "OrderSocketCodec"),
    RetiredName("Held", "LocalStopOrders", ORDERS),
    RetiredName("House", "FeeSchedule, MatchingEngine or ExchangeAccounts"),
    RetiredName("Board", "InstrumentBook", ("kit/*", "venues/*")),
    RetiredName("Fate", "FaultAction"),
    RetiredName("Letter", "OutgoingFrame"),
    RetiredName("FaultOrder", "FaultCommand"),
    RetiredName("Paid", "Fee"),
    RetiredName("Line", "FeedConnection or RestSession"),
    RetiredName("Rehearsal", "StandbyConnection"),
    RetiredName("Intake", "FramePipeline"),
    RetiredName("Place", "Environment", ("kit/connector/*",)),
    RetiredName("Answer", "ControlMessage", ("kit/connector/*",)),
    RetiredName("Pen", "BookBatchBuilder"),
    RetiredName("Beginning", "EpochManager", ("kit/*",)),
    RetiredName("Twin", "PeerReplica"),
    RetiredName("Twins", "VenueReplicas"),
    RetiredName("Retelling", "StateRepublisher"),
    RetiredName("Flat", "RowTable"),
    RetiredName("Lounge", "AccountSessions"),
    RetiredName("Floor", "MarketView"),
    RetiredName("ShownFloor", "FaultedMarketView"),
    RetiredName("Refusal", "the venue's ApiError, or a RejectCode"),
    RetiredName("Streams", "RedisStreams, or the venue's own name before it"),
)
RETIRED_FILES = {
    "again.py": "exit_retry.py",
    "hearing.py": "user_stream.py",
    "refusals.py": "errors.py",
    "speaking.py": "order_socket.py",
    "told.py": "a name that says what it holds",
}
RETIRED_MESSAGES = {
    "message Fill ": "HoleFill, or Fill of an order in tradeflow",
    "enum Order ": "SortOrder",
}
"""By the start of a line of a contract, outside tradeflow."""


def retired_name(file: File) -> Iterator[Finding]:
    """No class and no file has a name that was retired."""
    name = file.path.rpartition("/")[2]
    if name in RETIRED_FILES:
        text = f"{name}: call it {RETIRED_FILES[name]}"
        yield Finding("retired_name", file.path, 1, text)
    for node in file.nodes:
        if isinstance(node, ast.ClassDef):
            for retired in RETIRED_CLASSES:
                if node.name == retired.name and file.matches(retired.within):
                    text = f"class {node.name}: call it {retired.instead}"
                    yield Finding("retired_name", file.path, node.lineno, text)
    if file.matches(["proto/*.proto"]) and not file.matches(["proto/venuemesh/tradeflow/*"]):
        for number, line in enumerate(file.lines, 1):
            for start, instead in RETIRED_MESSAGES.items():
                if line.startswith(start):
                    text = f"{line.strip()}: call it {instead}"
                    yield Finding("retired_name", file.path, number, text)
