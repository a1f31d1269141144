"""Subjects of events: the texts by which queries find them."""

from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.events.event_ids import event_id

EVENT_GROUP_PREFIX = "ev-"
"""Begins the ids of groups of postings that are made of events."""
LEDGER = "ledger"
"""Source of the events of executions."""


def subject_of(event: event_pb2.Event) -> str:
    """The subject of an event; empty for a kind without one."""
    match event.WhichOneof("payload"):
        case "signal_raised":
            return f"strategy:{event.signal_raised.strategy}"
        case "strategy_state_changed":
            changed = event.strategy_state_changed
            return strategy_subject(changed.strategy, changed.venue, changed.symbol)
        case "mode_changed":
            return f"mode:{event.mode_changed.scope}"
        case "policy_changed":
            return "policy"
        case "order_changed":
            return order_subject(event.order_changed.order)
        case "order_filled":
            return fill_subject(event.order_filled.fill)
        case "postings_booked":
            return postings_subject(event.postings_booked.group_id)
        case "checkpoint_signed":
            return "checkpoint"
        case "call_made":
            return caller_subject(event.call_made.caller)
    return ""


def strategy_subject(strategy: str, venue: str, symbol: str) -> str:
    """Of the state of a strategy on an instrument."""
    return f"strategy_state:{strategy}/{venue}/{symbol}"


def caller_subject(caller: str) -> str:
    """Of the calls that a caller has made. A platform may name its callers with any character, and
    PostgreSQL keeps no NUL."""
    return f"caller:{caller}".replace("\0", "")


def order_subject(order: orders_pb2.Order) -> str:
    """Of an order: by its client order id, or the venue's where it has none."""
    order_id = order.client_order_id or order.venue_order_id
    return f"order:{order.content.venue}/{order.content.account}/{order_id}"


def order_subject_of(fill: orders_pb2.Fill) -> str:
    """Of the order that a fill belongs to."""
    return f"order:{fill.venue}/{fill.account}/{fill.client_order_id or fill.venue_order_id}"


def fill_subject(fill: orders_pb2.Fill) -> str:
    """Of a fill: its id is unique per account and symbol."""
    return f"fill:{fill.venue}/{fill.account}/{fill.symbol}/{fill.fill_id}"


def postings_subject(group_id: str) -> str:
    """Of a group of postings that was booked."""
    return f"postings:{group_id}"


def event_group_id(event_id: bytes) -> str:
    """The id of the group of postings that is made of an event."""
    return EVENT_GROUP_PREFIX + event_id.hex()


def opening_cause(symbol: str = "") -> bytes:
    """Names what an account had before the mesh knew it: its balances, or one position."""
    return f"opening:{symbol}".encode()


def opening_group_id(venue: str, account: str) -> str:
    """The id of the group of postings with the opening balances of an account."""
    return event_group_id(opening_event_id(venue, account))


def opening_event_id(venue: str, account: str) -> bytes:
    """The id of the event BalancesOpened; an account has one."""
    return event_id(LEDGER, f"{venue}/{account}", [opening_cause()])
