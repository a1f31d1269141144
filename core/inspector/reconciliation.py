"""Compares what the venue, the ledger and the inspector say of an account, and names the causes.

A difference that has been seen for a short time is late: one side knows later than another. Only
what differed at every look meanwhile is lasting. What cannot be read is not compared: then what was
found before stays.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from venuemesh.events.v1 import reconciliations_pb2

from core.inspector.account_books import AccountBooks, OwnPosition
from core.inspector.account_reports import AccountReport, state_name
from core.inspector.legacy_positions import ADOPTED
from kit.accounting.amounts import ZERO, add, plain, subtract
from kit.base.clock import NANOSECONDS_PER_SECOND

LATE_NS = 60 * NANOSECONDS_PER_SECOND
"""What differs for less may end by waiting."""
CLOCKS_NS = 5 * NANOSECONDS_PER_SECOND
"""How far the clock of a venue's process may be from ours."""
OLD_NS = 300 * NANOSECONDS_PER_SECOND
"""A venue's process asks for balances and positions every minute; an older report is none."""
BALANCE_STEP = Decimal("1e-8")
"""Smaller differences of balances are digits that venues do not report."""
NAMED_MAX = 5
"""Most fills of a symbol that an explanation names."""

Difference = reconciliations_pb2.ReconciliationDifference
BALANCE = reconciliations_pb2.RECONCILED_ITEM_BALANCE
POSITION = reconciliations_pb2.RECONCILED_ITEM_POSITION
STRATEGY_POSITION = reconciliations_pb2.RECONCILED_ITEM_STRATEGY_POSITION
ORDER = reconciliations_pb2.RECONCILED_ITEM_ORDER
LATE = reconciliations_pb2.RECONCILIATION_CAUSE_LATE
ROUNDING = reconciliations_pb2.RECONCILIATION_CAUSE_ROUNDING
MISSED_FILL = reconciliations_pb2.RECONCILIATION_CAUSE_MISSED_FILL
EXTERNAL_ORDER = reconciliations_pb2.RECONCILIATION_CAUSE_EXTERNAL_ORDER
LOST_ORDER = reconciliations_pb2.RECONCILIATION_CAUSE_LOST_ORDER
UNKNOWN = reconciliations_pb2.RECONCILIATION_CAUSE_UNKNOWN
LASTING = (MISSED_FILL, EXTERNAL_ORDER, LOST_ORDER, UNKNOWN)
"""Causes that waiting does not end."""


class DifferenceKey(NamedTuple):
    """What differs."""

    item: int
    subject: str
    strategy: str
    order_id: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found at one look."""

    differences: Sequence[Difference]
    unreadable: str
    """Why a part was not compared; "": all was."""


def key_of(difference: Difference) -> DifferenceKey:
    return DifferenceKey(
        difference.item, difference.subject, difference.strategy, difference.order_id
    )


def lasting(differences: Iterable[Difference]) -> list[Difference]:
    """Those that waiting does not end."""
    return [one for one in differences if one.cause in LASTING]


def compare(
    report: AccountReport, books: AccountBooks, before: Iterable[Difference], now_ns: int
) -> Comparison:
    """Compare the sides. ``before``: what was found at the previous look."""
    known = {key_of(one): one for one in before}
    found = list(_strategy_positions(books))
    problems: list[str] = []
    compared = {STRATEGY_POSITION}
    if report.problem:
        problems.append(report.problem)
    else:
        compared.add(ORDER)
        found += _orders(report, books)
        if report.positions or report.positions_time_ns or books.derivatives:
            problem = _age_problem("positions", report.positions_time_ns, now_ns)
            if problem:
                problems.append(problem)
            else:
                compared.add(POSITION)
                found += _positions(report, books)
        problem = "" if report.is_paper else _balances_problem(report, books, now_ns)
        if problem:
            problems.append(problem)
        elif not report.is_paper:
            compared.add(BALANCE)
            found += _balances(report, books)
    for one in found:
        _place(one, known.get(key_of(one)), report, now_ns)
    kept = [one for one in known.values() if one.item not in compared]
    every = sorted([*found, *kept], key=key_of)
    return Comparison(every, "; ".join(problems))


def _age_problem(what: str, time_ns: int, now_ns: int) -> str:
    if not time_ns:
        return f"the venue has not reported {what} yet"
    seconds = (now_ns - time_ns) // NANOSECONDS_PER_SECOND
    if now_ns - time_ns > OLD_NS:
        return f"the venue has reported {what} {seconds} s ago"
    return ""


def _balances_problem(report: AccountReport, books: AccountBooks, now_ns: int) -> str:
    if not books.is_opened:
        return "the ledger has not booked yet what the account had before"
    return _age_problem("balances", report.balances_time_ns, now_ns)


def _place(one: Difference, before: Difference | None, report: AccountReport, now_ns: int) -> None:
    """Set since when it differs, and the cause unless it is known."""
    one.first_seen_time_ns = before.first_seen_time_ns if before is not None else now_ns
    if one.cause:
        return
    since_ns = one.first_seen_time_ns
    reported_ns = now_ns
    if one.item == BALANCE:
        reported_ns = report.balances_time_ns
    elif one.item == POSITION:
        reported_ns = report.positions_time_ns
    is_late = now_ns - since_ns < LATE_NS or reported_ns < since_ns + CLOCKS_NS
    if is_late:
        one.cause = LATE
    else:
        one.cause = LOST_ORDER if one.item == ORDER else UNKNOWN


def _balances(report: AccountReport, books: AccountBooks) -> Iterator[Difference]:
    for asset in report.balances.keys() | books.balances.keys():
        stated = report.balances.get(asset, ZERO)
        booked = books.balances.get(asset, ZERO)
        if stated == booked:
            continue
        one = Difference(item=BALANCE, subject=asset)
        one.venue_value, one.ledger_value = plain(stated), plain(booked)
        if abs(subtract(stated, booked)) <= BALANCE_STEP:
            one.cause = ROUNDING
        yield one


def _positions(report: AccountReport, books: AccountBooks) -> Iterator[Difference]:
    booked: dict[str, Decimal] = {}
    for (symbol, _), size in books.positions.items():
        if symbol in books.derivatives:
            booked[symbol] = add(booked.get(symbol, ZERO), size)
    for symbol in report.positions.keys() | booked.keys():
        stated, size = report.positions.get(symbol, ZERO), booked.get(symbol, ZERO)
        if stated != size:
            one = Difference(item=POSITION, subject=symbol)
            one.venue_value, one.ledger_value = plain(stated), plain(size)
            yield one


def _strategy_positions(books: AccountBooks) -> Iterator[Difference]:
    holdings = {key for key in books.positions if key[1]} | books.own_positions.keys()
    for symbol, strategy in holdings:
        if strategy == ADOPTED:
            # The ledger books its fills for no strategy.
            continue
        booked = books.positions.get((symbol, strategy), ZERO)
        own = books.own_positions.get((symbol, strategy), OwnPosition())
        if booked == own.size:
            continue
        one = Difference(item=STRATEGY_POSITION, subject=symbol, strategy=strategy)
        one.ledger_value, one.inspector_value = plain(booked), plain(own.size)
        # Residual sizes of ended positions stay in the books.
        if abs(subtract(booked, own.size)) <= own.rests:
            one.cause = ROUNDING
        yield one


def _orders(report: AccountReport, books: AccountBooks) -> Iterator[Difference]:
    listed = {order.client_order_id for order in report.orders if order.client_order_id}
    for order in report.orders:
        if order.external:
            yield Difference(
                item=ORDER,
                subject=order.content.symbol,
                order_id=order.client_order_id or order.venue_order_id,
                venue_value=state_name(order.state),
                cause=EXTERNAL_ORDER,
                detail="placed by other means in the same account",
            )
    for client_id, own in books.own_orders.items():
        if client_id not in listed:
            yield Difference(
                item=ORDER, subject=own.symbol, order_id=client_id, inspector_value=own.state
            )


def explain(differences: Iterable[Difference], missed: Mapping[str, Sequence[str]]) -> None:
    """Name the fills that explain differences. ``missed``: ids of fills that the venue lists and
    that are not booked, by symbol."""
    if not missed:
        return
    texts = {
        symbol: f"fills of {symbol} that are not booked: {', '.join(ids[:NAMED_MAX])}"
        for symbol, ids in sorted(missed.items())
    }
    for one in differences:
        if one.cause != UNKNOWN or one.item == ORDER:
            continue
        if one.item == BALANCE:
            one.cause, one.detail = MISSED_FILL, "; ".join(texts.values())
        elif one.subject in texts:
            one.cause, one.detail = MISSED_FILL, texts[one.subject]
