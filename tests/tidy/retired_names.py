"""Names that were metaphors or stood for two things, and must not come back."""

import ast
import re
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
    RetiredName("BookSplicer", "LiveBookManager"),
    RetiredName("CatchUp", "BacklogReader"),
    RetiredName("Conversation", "ClientMessageHandler"),
    RetiredName("Depth", "CandleLookback", ("core/repair/*",)),
    RetiredName("HeadStart", "StartupPriority"),
    RetiredName("HoleFiller", "HoleRepairer"),
    RetiredName("Inquiry", "OrderStatusQuery"),
    RetiredName("LastingProblems", "PersistentProblems"),
    RetiredName("Maturity", "ConnectorMaturity"),
    RetiredName("OneThread", "SingleThreadExecutor"),
    RetiredName("PastBook", "HistoricalBook"),
    RetiredName("PastRecord", "RecordedMarketData"),
    RetiredName("Patience", "RestartDelays"),
    RetiredName("Play", "PlaybackSelection"),
    RetiredName("PositionMoved", "ConsumerPositionConflict"),
    RetiredName("Proof", "BookConstraints"),
    RetiredName("StopTurn", "StopStage"),
    RetiredName("Store", "what it stores before it: BarStore, LevelStore"),
    RetiredName("StreamMoved", "StreamAppendConflict"),
    RetiredName("Surroundings", "StreamContext"),
    RetiredName("Tail", "StreamTailer"),
    RetiredName("Tape", "CaptureFiles", ("kit/simulator/*", "core/playback/*")),
    RetiredName("TradeRefill", "TradeBackfill"),
    RetiredName("Useless", "UnrecoverableExit"),
    RetiredName("VenueHost", "FeedHandler"),
    RetiredName("AccountIntakes", "AccountDiscovery"),
    RetiredName("ActingProcess", "ActiveProcess"),
    RetiredName("BarsAway", "BarsUnavailable"),
    RetiredName("Case", "DecisionCase", ("core/*",)),
    RetiredName("Closer", "PositionCloser", ("core/*",)),
    RetiredName("Differs", "DifferenceFound"),
    RetiredName("Entries", "PositionOpener", ("core/*",)),
    RetiredName("ExecutionIntake", "ExecutionCollector"),
    RetiredName("Facts", "what they are about before it: DecisionFacts, RiskFacts", ("core/*",)),
    RetiredName("GroupedCalls", "CallBatcher"),
    RetiredName("KnownPrices", "PriceCache"),
    RetiredName("OrderEnds", "OrderReconciler"),
    RetiredName("PolicyChanges", "PolicyReloader"),
    RetiredName("Sender", "what it sends before it: SubmissionSender", ("core/*",)),
    RetiredName("UnprotectedPositions", "StopMonitor"),
    RetiredName("Waiting", "NotSettled", ("core/*",)),
    RetiredName("WantedReduction", "ReductionRequest"),
    RetiredName("WorkTime", "CpuTime"),
)
RETIRED_FILES = {
    "account_intakes.py": "account_discovery.py",
    "acting.py": "active_process.py",
    "again.py": "retries.py",
    "closed_by_others.py": "external_fills.py",
    "closing_shares.py": "fill_allocation.py",
    "conversation.py": "client_messages.py",
    "execution_intake.py": "execution_collector.py",
    "grouped_calls.py": "call_batcher.py",
    "hearing.py": "user_stream.py",
    "in_process.py": "local_programs.py",
    "joining.py": "trade_merge.py",
    "kernel.py": "bar_arithmetic.py",
    "known_prices.py": "price_cache.py",
    "leftovers.py": "orphaned_processes.py",
    "manual.py": "manual_orders.py",
    "order_ends.py": "order_reconciler.py",
    "position_ends.py": "position_updates.py",
    "refusals.py": "errors.py",
    "requested_orders.py": "manual_requests.py",
    "speaking.py": "order_socket.py",
    "splicer.py": "live_book_manager.py",
    "tape.py": "capture_files.py, or record_windows.py of a playback",
    "told.py": "a name that says what it holds",
    "unprotected.py": "stop_monitor.py",
    "work_time.py": "cpu_time.py",
}
RETIRED_WORDS = {
    "begins_anew": "recording_changed",
    "pretended": "simulated",
    "pretended_exchange": "simulated_exchange",
    "troubles": "degraded_reasons",
    "twin_covers": "peer_covers",
    "twin_cursor": "peer_cursor",
}
"""Names of functions, parameters, fields and metrics, and words of prose."""
_WORD = re.compile(rf"(?:\b|(?<=venuemesh_))({'|'.join(RETIRED_WORDS)})\b")
_RECORDS = ("docs/decisions/*", "CHANGELOG.md", "tests/tidy/*")
"""Files that may name what was there before."""
RETIRED_MESSAGES = {
    "message Fill ": "HoleFill, or Fill of an order in tradeflow",
    "enum Order ": "SortOrder",
}
"""By the start of a line of a contract, outside tradeflow."""


def retired_name(file: File) -> Iterator[Finding]:
    """No class, file, field or word has a name that was retired."""
    yield from _retired_words(file)
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


def _retired_words(file: File) -> Iterator[Finding]:
    if file.matches(_RECORDS):
        return
    for number, line in enumerate(file.lines, 1):
        for word in _WORD.findall(line):
            text = f"{word}: call it {RETIRED_WORDS[word]}"
            yield Finding("retired_name", file.path, number, text)
