"""Accounts whose past is known in part only: from their opening on, cash and positions are true."""

import random
from collections import Counter
from decimal import Context, Decimal
from fractions import Fraction

import pytest
from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from core.ledger.reported_events import balances_opened, position_opened
from core.ledger.tests.books import Books
from core.ledger.tests.executions import (
    ACCOUNT,
    TERMS,
    VENUE,
    expected_balances,
    independent,
    random_events,
)
from core.ledger.tests.independent_books import ATOMS, Balances, Terms
from kit.accounting.money import atoms_text

COUNT = 150
ROUNDED_MAX = 10**6
"""Atoms: a stated entry price has 18 places."""
PRICE = Context(prec=40)


def is_settlement(event: event_pb2.Event) -> bool:
    """Random ones are larger than positions, so that their cost would be negative."""
    return event.cash_moved.cash_flow.kind == cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT


def cash(balances: Balances) -> Counter[str]:
    return Counter({key.asset: amount for key, amount in balances.items() if key.code == "CASH"})


def contracts(balances: Balances) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, amount in balances.items():
        if key.code == "POSITION" and key.asset.startswith("contract/"):
            found[key.symbol] += amount
    return found


def entry_price(terms: Terms, size: Fraction, cost: int) -> str:
    units = size * terms.multiplier
    worth = Fraction(cost, ATOMS)
    price = units / worth if terms.is_inverse else worth / units
    exact = PRICE.divide(Decimal(price.numerator), Decimal(price.denominator))
    return f"{exact:.18f}"


def opening(past: list[event_pb2.Event], time_ns: int) -> list[event_pb2.Event]:
    """What the venue states after all that has happened until then."""
    true, net = expected_balances(past), net_positions(past)
    balances = [
        orders_pb2.Balance(asset=asset, total=atoms_text(amount))
        for asset, amount in cash(true).items()
    ]
    positions = [
        orders_pb2.Position(
            symbol=symbol,
            size=atoms_text(int(size * ATOMS)),
            entry_price=entry_price(TERMS[symbol], size, cost) if size else "",
        )
        for symbol, (size, cost) in net.items()
    ]
    return [
        *(position_opened(VENUE, ACCOUNT, one, time_ns) for one in positions),
        balances_opened(VENUE, ACCOUNT, balances, time_ns),
    ]


def net_positions(past: list[event_pb2.Event]) -> dict[str, tuple[Fraction, int]]:
    """Size and cost of the account's position in each derivative."""
    books = independent(past)
    return {
        symbol: (held.size, held.cost) for symbol, held in books.net.items() if TERMS[symbol].settle
    }


@pytest.mark.parametrize("seed", range(12))
async def test_cash_and_positions_are_true_from_the_opening_on(books: Books, seed: int) -> None:
    chance = random.Random(seed)
    events = random_events(seed, COUNT)
    opened_ns = events[COUNT // 2].time_ns
    past = [one for one in events if one.time_ns <= opened_ns and not is_settlement(one)]
    future = [one for one in events if one.time_ns > opened_ns]
    known = [one for one in past if chance.random() < 0.4]
    late = [one for one in past if one not in known and chance.random() < 0.6]
    early = [one for one in future if chance.random() < 0.3]
    chance.shuffle(known)
    await books.book(*known, *early)
    assert not (await books.book(*opening(past, opened_ns))).refused
    await check(books, [*past, *early])
    rest = [*late, *(one for one in future if one not in early)]
    chance.shuffle(rest)
    booked = [*past, *early]
    while rest:
        part, rest = rest[:7], rest[7:]
        books = books.restarted() if chance.random() < 0.3 else books
        await books.book(*part)
        booked += [one for one in part if one.time_ns > opened_ns]
        await books.require_balanced()
    await check(books, booked)
    assert (await books.queries.verify()).texts == []


async def check(books: Books, happened: list[event_pb2.Event]) -> None:
    found, true = await books.balances(), expected_balances(happened)
    for asset in cash(found) | cash(true):
        assert abs(cash(found)[asset] - cash(true)[asset]) < ROUNDED_MAX, asset
    for symbol in contracts(found) | contracts(true):
        assert contracts(found)[symbol] == contracts(true)[symbol], symbol
