"""What was under way when the process ended goes on."""

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.amender import settle_held
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.resolver import Resolver

NEVER_ARRIVED = orders_pb2.REJECT_REASON_NEVER_ARRIVED


def resume(ledger: AccountState, resolver: Resolver, now_ns: int) -> None:
    """Have each order of a journal that was read stand where it can go on."""
    for members in ledger.index.groups.values():
        _resume_group(ledger, members)
    for entry in list(ledger.index.open.values()):
        if entry.state == states.INTENDED:
            _resume_intended(ledger, entry)
        elif entry.state == states.SENT:
            ledger.move(entry, states.UNKNOWN, detail="the process ended meanwhile")
        elif entry.held:
            settle_held(ledger, entry)
        elif (
            entry.state not in (states.OPEN, states.PARTLY_FILLED)
            or entry.cancel_wanted
            or entry.is_amending
        ):
            resolver.watch(entry)
        entry.terms_time_ns = now_ns


def _resume_group(ledger: AccountState, members: list[Order]) -> None:
    """All of a group or none of it: whoever placed it has no answer yet when one that was to be
    sent was not."""
    if any(one.state == states.INTENDED and not one.kept_here for one in members):
        for one in members:
            _reject(ledger, one, "the process ended before its group was sent")


def _resume_intended(ledger: AccountState, entry: Order) -> None:
    """It is sure that it was not sent."""
    if entry.cancel_wanted:
        ledger.move(entry, states.CANCELLED, detail="cancelled before it was sent")
    elif entry.kept_here:
        ledger.move(entry, states.OPEN)
    else:
        _reject(ledger, entry, "the process ended before it was sent")


def _reject(ledger: AccountState, entry: Order, words: str) -> None:
    ledger.move(entry, states.REJECTED, NEVER_ARRIVED, words)
