"""What the ledger has booked of random executions, beside an independent computation."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from venuemesh.events.v1 import event_pb2
from venuemesh.ledger.v1 import ledger_pb2, postings_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from benchmarks.soaks.executions import VENUES, VenueExecutions
from core.ledger.tests.independent_books import ATOMS, BookKey, IndependentBooks

CODE_PREFIX = "ACCOUNT_CODE_"
GROUP_PREFIX = "ev-"
PROFITS = {"realized": "REALIZED_PROFIT", "fees": "FEES", "funding": "FUNDING_PROFIT"}
SHOWN_MAX = 5
"""Differences of one kind that are shown."""
ROWS = 10_000
EVENTS = "SELECT event_id, body FROM events WHERE stream = %s"
GROUPS = "SELECT group_id, event_id FROM ledger_groups"
POSITIONS = "SELECT venue, symbol, strategy, size::text, cost::text FROM ledger_positions"
POSTINGS = """
SELECT debit.venue, debit.asset, debit.code, debit.symbol, credit.code, credit.symbol, count(*)
FROM ledger_entries AS entry JOIN ledger_accounts AS debit USING (account_id)
JOIN ledger_accounts AS credit ON credit.account_id = entry.other_account_id
WHERE entry.amount > 0 GROUP BY 1, 2, 3, 4, 5, 6
"""

Fingerprint = bytes
"""Of all values of an execution."""


@dataclass(slots=True)
class Expected:
    """What must be booked."""

    balances: dict[tuple[str, BookKey], int] = field(default_factory=dict)
    """Atoms, by venue and account."""
    positions: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    """Size and cost in atoms, by venue, symbol and strategy."""
    books: dict[str, IndependentBooks] = field(default_factory=dict)
    refusals: dict[Fingerprint, str] = field(default_factory=dict)
    """Why, "" for what is booked; of all executions."""

    @classmethod
    def of(cls, venues: Iterable[VenueExecutions]) -> "Expected":
        """Compute what follows from the executions of these venues."""
        expected = cls()
        for venue in venues:
            expected._add(venue)
        return expected

    @property
    def postings(self) -> dict[tuple[str, str, str, str], int]:
        """How many there are, without those of the profit of positions: by venue, asset, codes."""
        return {
            (venue, *key): count
            for venue, books in self.books.items()
            for key, count in books.postings.items()
        }

    def _add(self, venue: VenueExecutions) -> None:
        books = self.books[venue.venue] = IndependentBooks(venue.venue, dict(venue.terms))
        for execution in sorted(venue.executions(), key=lambda one: one.place):
            self.refusals[_fingerprint(execution.reported, execution.strategy)] = execution.refusal
            if execution.refusal:
                continue
            if execution.fill is not None:
                books.fill(execution.fill, execution.strategy)
            elif execution.flow is not None:
                books.flow(execution.flow)
        self.balances |= {(venue.venue, key): value for key, value in books.balances.items()}
        for (symbol, strategy), held in books.held.items():
            size = held.size * ATOMS
            assert size.denominator == 1
            self.positions[venue.venue, symbol, strategy] = size.numerator, held.cost


@dataclass(slots=True)
class Booked:
    """What a database has."""

    url: str
    wrong: list[str] = field(default_factory=list)
    """What is not as expected."""
    groups: int = 0
    postings: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Executions by the reason why they cannot be booked."""

    def compare(self, expected: Expected) -> None:
        """Compare events, groups, positions and the number of postings. Blocks."""
        with psycopg.connect(self.url) as connection:
            stored = self._compare_events(connection, expected)
            self._compare_groups(connection, stored)
            found = {
                (venue, symbol, strategy): (int(size), int(cost))
                for venue, symbol, strategy, size, cost in connection.execute(POSITIONS)
            }
            self.differences("position", expected.positions, found)
            counts = self._counts(connection, expected)
            self.differences("number of postings", expected.postings, counts)

    def compare_balances(
        self, expected: Expected, balances: Iterable[postings_pb2.LedgerBalance]
    ) -> None:
        """Compare the balances that the ledger answers."""
        found = {(one.account.venue, _key_of(one.account)): _atoms(one.balance) for one in balances}
        self.differences("balance", expected.balances, {k: v for k, v in found.items() if v})

    def compare_profits(self, expected: Expected, profits: Iterable[ledger_pb2.Profit]) -> None:
        """Compare the profits by position that the ledger answers."""
        codes = {code: name for name, code in PROFITS.items()}
        wanted: dict[tuple[str, ...], int] = {
            (venue, key.symbol, key.strategy, key.asset, codes[key.code]): -amount
            for (venue, key), amount in expected.balances.items()
            if key.code in codes
        }
        found = {
            (one.venue, one.symbol, one.strategy, one.asset, name): _atoms(getattr(one, name))
            for one in profits
            for name in PROFITS
        }
        self.differences("profit", wanted, {key: value for key, value in found.items() if value})

    def differences(
        self, what: str, expected: Mapping[Any, object], found: Mapping[Any, object]
    ) -> None:
        """Note what is missing, too many or different."""
        both = expected.keys() | found.keys()
        keys = [key for key in both if expected.get(key) != found.get(key)]
        for key in keys[:SHOWN_MAX]:
            wanted, has = expected.get(key), found.get(key)
            self.wrong.append(f"{what} {key}: {has}, and should be {wanted}")
        if len(keys) > SHOWN_MAX:
            self.wrong.append(f"{what} and others: {len(keys)} of {len(both)} differ")

    def _compare_events(
        self, connection: psycopg.Connection, expected: Expected
    ) -> dict[bytes, str]:
        """Returns why events are refused, by id; "" of those that are booked."""
        seen: dict[Fingerprint, bytes] = {}
        unknown = twice = 0
        for event_id, event in _events(connection, "executions"):
            mark = _mark_of(event)
            if mark is None:
                continue
            unknown += mark not in expected.refusals
            twice += mark in seen
            seen[mark] = event_id
        missing = len(expected.refusals) - len(seen.keys() & expected.refusals.keys())
        for count, text in (
            (unknown, "stored events are of no execution, or have other values"),
            (twice, "executions are stored twice"),
            (missing, "executions are not stored"),
        ):
            if count:
                self.wrong.append(f"{count} {text}")
        return {event_id: expected.refusals.get(mark, "") for mark, event_id in seen.items()}

    def _compare_groups(self, connection: psycopg.Connection, stored: Mapping[bytes, str]) -> None:
        booked: Counter[str] = Counter()
        answered: dict[str, str] = {}
        for _, event in _events(connection, "ledger"):
            if event.HasField("postings_booked"):
                booked[event.postings_booked.group_id] += 1
            else:
                refused = event.postings_refused
                booked[refused.group_id] += 1
                answered[refused.group_id] = refused.reason
        self.refused = Counter(answered.values())
        wanted = {GROUP_PREFIX + event_id.hex(): reason for event_id, reason in stored.items()}
        self.differences("events of the group", dict.fromkeys(wanted, 1), booked)
        refusals = {group_id: reason for group_id, reason in wanted.items() if reason}
        self.differences("refusal of", refusals, answered)
        groups = {group_id: bytes(event_id) for group_id, event_id in connection.execute(GROUPS)}
        self.groups = len(groups)
        accepted = {
            GROUP_PREFIX + event_id.hex(): event_id
            for event_id, reason in stored.items()
            if not reason
        }
        self.differences("group", accepted, groups)

    def _counts(
        self, connection: psycopg.Connection, expected: Expected
    ) -> dict[tuple[str, str, str, str], int]:
        counts: Counter[tuple[str, str, str, str]] = Counter()
        for venue, asset, debit, of_debit, credit, of_credit, count in connection.execute(POSTINGS):
            self.postings += count
            sides = (
                BookKey(_code(debit), asset, of_debit),
                BookKey(_code(credit), asset, of_credit),
            )
            if not expected.books[venue].is_profit(*sides):
                first, second = sorted(side.code for side in sides)
                counts[venue, asset, first, second] += count
        return dict(counts)


def executions_of(venues: Iterable[str], seed: int, events: int) -> list[VenueExecutions]:
    """So many executions, shared among venues."""
    names = [venue for venue in VENUES if venue in set(venues)]
    each, rest = divmod(events, len(names))
    return [VenueExecutions(name, seed, each + (place < rest)) for place, name in enumerate(names)]


def _events(connection: psycopg.Connection, stream: str) -> Iterator[tuple[bytes, event_pb2.Event]]:
    with connection.cursor(name="events") as cursor:
        cursor.itersize = ROWS
        for event_id, body in cursor.execute(EVENTS, [stream]):
            yield bytes(event_id), event_pb2.Event.FromString(bytes(body))


def _mark_of(event: event_pb2.Event) -> Fingerprint | None:
    """Of the execution that an event reports; None: it reports an order."""
    match event.WhichOneof("payload"):
        case "order_filled":
            return _fingerprint(event.order_filled.fill, event.order_filled.strategy)
        case "cash_moved":
            return _fingerprint(event.cash_moved.cash_flow, "")
    return None


def _fingerprint(
    reported: "orders_pb2.Fill | cash_flows_pb2.CashFlow", strategy: str
) -> Fingerprint:
    content = reported.SerializeToString(deterministic=True)
    return hashlib.blake2b(strategy.encode() + b"\0" + content, digest_size=16).digest()


def _key_of(account: postings_pb2.LedgerAccount) -> BookKey:
    return BookKey(_code(account.code), account.asset, account.symbol, account.strategy)


def _code(number: int) -> str:
    return postings_pb2.AccountCode.Name(number).removeprefix(CODE_PREFIX)  # type: ignore[arg-type]


def _atoms(text: str) -> int:
    """Of decimal text with up to 18 places."""
    whole, _, rest = text.removeprefix("-").partition(".")
    atoms = int(whole + rest.ljust(18, "0"))
    return -atoms if text.startswith("-") else atoms
