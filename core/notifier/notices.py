"""Makes the notices of events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

TEXT_LENGTH_MAX = 300
"""Of what others have written: a reason, the text of a venue."""
NOTE_LINES_MAX = 20
MODES_WITHOUT_ENTRIES = frozenset(
    {
        risk_pb2.TRADING_MODE_STANDING_DOWN,
        risk_pb2.TRADING_MODE_CLOSING_ALL,
        risk_pb2.TRADING_MODE_HALTED,
    }
)


class NoticeLevel(IntEnum):
    """How urgent a notice is."""

    LOOK = 1
    """It can wait until the morning."""
    PAGE = 2
    """It wakes somebody."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line for persons."""

    level: NoticeLevel
    text: str
    event_id: bytes
    time_ns: int
    is_kept: bool = False
    """Whether it is to be kept by who gets it: it is sent whatever its level and its age are."""


def notice_of(event: event_pb2.Event) -> Notice | None:
    """The notice of an event; None if it has none."""
    found = _TEXTS.get(event.WhichOneof("payload") or "", _nothing)(event)
    if found is None:
        return None
    level, text = found
    is_kept = event.HasField("checkpoint_signed")
    return Notice(level, text, event.event_id, event.time_ns, is_kept)


def printable(text: str) -> str:
    """A text of others in one line, without control characters, of a bounded length."""
    line = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    return line if len(line) <= TEXT_LENGTH_MAX else f"{line[:TEXT_LENGTH_MAX]}…"


_Found = tuple[NoticeLevel, str] | None


def _nothing(_: event_pb2.Event) -> _Found:
    return None


def _mode_changed(event: event_pb2.Event) -> _Found:
    change = event.mode_changed
    by = change.caller or f"rule {change.rule}"
    before, after = (
        risk_pb2.TradingMode.Name(mode).removeprefix("TRADING_MODE_")
        for mode in (change.before, change.after)
    )
    text = f"{change.scope}: mode {before} → {after}, by {by}: {change.reason}"
    stops = change.after in MODES_WITHOUT_ENTRIES
    return NoticeLevel.PAGE if stops else NoticeLevel.LOOK, printable(text)


def _protection_changed(event: event_pb2.Event) -> _Found:
    change = event.protection_changed
    place = f"{change.venue}/{change.account} {change.symbol}"
    held = f", which holds {change.size}" if change.size else ""
    about = (
        f"stop of {change.strategy} in {place}{held}: {change.problem or 'nothing is wrong now'}"
    )
    return NoticeLevel.PAGE if change.problem else NoticeLevel.LOOK, printable(about)


def _proposal_changed(event: event_pb2.Event) -> _Found:
    change = event.proposal_changed
    if change.state != risk_pb2.PROPOSAL_STATE_PENDING:
        return None
    asked, content = change.requested, change.requested.content
    place = f"{content.venue}/{content.account} {content.symbol}"
    # Unconfirmed it has no effect, and a model that proposes much wakes nobody.
    text = f"{asked.caller} proposes an order, {asked.request_id}, in {place}: {asked.reason}"
    return NoticeLevel.LOOK, printable(text)


def _legacy_position_changed(event: event_pb2.Event) -> _Found:
    change = event.legacy_position_changed
    place = f"{change.venue}/{change.account} {change.symbol}"
    if change.size == "0":
        return NoticeLevel.LOOK, printable(f"{place}: nothing is held any more without a strategy")
    text = f"{place}: {change.size} is held that no strategy has opened; nothing protects it"
    return NoticeLevel.PAGE, printable(text)


def _position_adopted(event: event_pb2.Event) -> _Found:
    adopted = event.position_adopted
    place = f"{adopted.venue}/{adopted.account} {adopted.symbol}"
    text = f"{place}: {adopted.size} adopted by {adopted.caller}, stop at {adopted.stop_price}"
    return NoticeLevel.LOOK, printable(f"{text}: {adopted.reason}")


def _orders_submitted(event: event_pb2.Event) -> _Found:
    submitted = event.orders_submitted
    if submitted.outcome == risk_pb2.SUBMISSION_OUTCOME_TAKEN:
        return None
    outcome = risk_pb2.SubmissionOutcome.Name(submitted.outcome)
    outcome = outcome.removeprefix("SUBMISSION_OUTCOME_").lower()
    why = f": {submitted.refusal_reason} {submitted.detail}".rstrip(": ")
    ids = ", ".join(submitted.request_ids)
    return NoticeLevel.LOOK, printable(f"approved orders {outcome}: {ids}{why}")


def _order_changed(event: event_pb2.Event) -> _Found:
    order = event.order_changed.order
    if order.state != orders_pb2.ORDER_STATE_UNKNOWN:
        return None
    content = order.content
    place = f"{content.venue}/{content.account} {content.symbol}"
    text = f"{place}: the outcome of order {order.client_order_id} is not known: {order.detail}"
    return NoticeLevel.LOOK, printable(text)


def _cash_moved(event: event_pb2.Event) -> _Found:
    flow = event.cash_moved.cash_flow
    if flow.kind != cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION:
        return None
    place = f"{flow.venue}/{flow.account} {flow.symbol}"
    text = f"{place}: liquidation, {flow.amount} {flow.asset}: {flow.detail}"
    return NoticeLevel.PAGE, printable(text)


def _postings_refused(event: event_pb2.Event) -> _Found:
    refused = event.postings_refused
    text = f"the ledger has not booked {refused.group_id}: {refused.reason}: {refused.detail}"
    return NoticeLevel.LOOK, printable(text)


def _checkpoint_signed(event: event_pb2.Event) -> _Found:
    signed = event.checkpoint_signed
    if not signed.first_of_day and not signed.requested:
        return None
    # A signature fits the lines as they are.
    lines = [printable(line) for line in signed.note.splitlines()[:NOTE_LINES_MAX]]
    note = "\n".join(lines)
    return NoticeLevel.LOOK, f"checkpoint of the audit log, to be kept:\n{note}\n"


_TEXTS: Mapping[str, Callable[[event_pb2.Event], _Found]] = {
    "mode_changed": _mode_changed,
    "protection_changed": _protection_changed,
    "proposal_changed": _proposal_changed,
    "legacy_position_changed": _legacy_position_changed,
    "position_adopted": _position_adopted,
    "orders_submitted": _orders_submitted,
    "order_changed": _order_changed,
    "cash_moved": _cash_moved,
    "postings_refused": _postings_refused,
    "checkpoint_signed": _checkpoint_signed,
}
