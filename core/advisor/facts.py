"""The facts of a decision, and their text form."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2

from core.advisor.amounts import amount_of
from kit.base.cursor import Cursor

Fact = decisions_pb2.Fact

RULES_VERSION = "rules.version"
"""The version of the rules. Decisions by version 1 or 2 do not state it."""
RULES_VERSION_NOW = 3
CLOCK_TIME = "clock.time"
"""When the decision was made, ns."""
BID_PRICE = "quote.bid_price"
ASK_PRICE = "quote.ask_price"
BOOK_ASKED_TIME = "book.asked_time"
"""Time of the request for the book, ns. The best prices are from this time or
later."""
BOOK_ANSWERED_TIME = "book.answered_time"
"""When the answer came, ns."""
BOOK_STATE = "book.state"
BOOK_VENUE_TIME = "book.venue_time"
"""When the book has last changed, ns, by the venue."""
BOOK_CURSOR = "book.cursor"
QUOTE_CHANGED_TIME = "quote.changed_time"
"""In decisions by version 1 of the rules: when the best prices had last changed, ns. The time of
the prices themselves is when the venue process had last confirmed them."""
QUOTE_CURSOR = "quote.cursor"
"""In decisions by version 1 of the rules: the batch of the best prices."""
SUPERSEDED_BY = "signal.superseded_by"
"""The id of a newer signal of the strategy about the same instrument. It came while a language
model was asked about this one."""
PRICE_TICK = "instrument.price_tick"
SIZE_STEP = "instrument.size_step"
SIZE_MIN = "instrument.size_min"
NOTIONAL_MIN = "instrument.notional_min"
STATUS = "instrument.status"
KIND = "instrument.kind"
BASE = "instrument.base"
QUOTE = "instrument.quote"
SETTLEMENT_ASSET = "instrument.settlement_asset"
SIZE_UNIT = "instrument.size_unit"
CONTRACT_KIND = "instrument.contract_kind"
CONTRACT_VALUE = "instrument.contract_value"
EQUITY = "account.equity"
POSITION_SIZE = "position.size"

WORDS: Mapping[str, tuple[str, Any, str]] = {
    STATUS: ("status", types_pb2.InstrumentStatus, "INSTRUMENT_STATUS_"),
    KIND: ("kind", types_pb2.InstrumentKind, "INSTRUMENT_KIND_"),
    SIZE_UNIT: ("size_unit", types_pb2.SizeUnit, "SIZE_UNIT_"),
    CONTRACT_KIND: ("contract_kind", types_pb2.ContractKind, "CONTRACT_KIND_"),
}
"""Facts that are a word: the field of the instrument, its type, and what the names begin with."""
TEXTS = {BASE: "base", QUOTE: "quote", SETTLEMENT_ASSET: "settlement_asset"}
AMOUNTS = {
    PRICE_TICK: "price_tick",
    SIZE_STEP: "size_step",
    SIZE_MIN: "size_min",
    NOTIONAL_MIN: "notional_min",
    CONTRACT_VALUE: "contract_value",
}
NONE_IS_ZERO = (SIZE_MIN, NOTIONAL_MIN)
"""Amounts that an instrument may lack."""
IN_QUOTE = (PRICE_TICK, NOTIONAL_MIN)


class DecisionFacts:
    """Some facts by their id. What is given twice with different values is not known."""

    def __init__(self, messages: Iterable[Fact]) -> None:
        self.messages = tuple(messages)
        self._known: dict[str, Fact] = {}
        contradicted = set()
        for fact in self.messages:
            if self._known.setdefault(fact.fact_id, fact) != fact:
                contradicted.add(fact.fact_id)
        for fact_id in contradicted:
            del self._known[fact_id]

    @property
    def rules_version(self) -> int:
        """The version of the rules for these facts. If they do not state one, it is 1 without a
        request for a book, or 2."""
        stated = self.whole(RULES_VERSION)
        if stated is not None:
            return stated
        return 2 if self.text(BOOK_ASKED_TIME) else 1

    def text(self, fact_id: str) -> str:
        """The value; "" if it is not known."""
        return self._known[fact_id].value if fact_id in self._known else ""

    def amount(self, fact_id: str) -> Decimal | None:
        """The value; None if it is not known, or not a number."""
        return amount_of(self.text(fact_id))

    def whole(self, fact_id: str) -> int | None:
        """The value; None if it is not known, or not a whole number."""
        amount = self.amount(fact_id)
        return None if amount is None or amount != int(amount) else int(amount)

    def unit(self, fact_id: str) -> str:
        return self._known[fact_id].unit if fact_id in self._known else ""

    def time_ns(self, fact_id: str) -> int | None:
        """When it was true, ns since the Unix epoch. None: it is not known."""
        return self._known[fact_id].time_ns if fact_id in self._known else None

    def cursor(self, fact_id: str) -> Cursor | None:
        try:
            return Cursor.parse(self.text(fact_id))
        except ValueError:
            return None

    def instrument(self) -> types_pb2.Instrument:
        """The instrument, as far as it is known."""
        found = types_pb2.Instrument()
        for fact_id, name in TEXTS.items():
            setattr(found, name, self.text(fact_id))
        for fact_id, name in AMOUNTS.items():
            amount = self.amount(fact_id)
            setattr(found, name, self.text(fact_id) if amount is not None and amount > 0 else "")
        for fact_id, (name, kind, prefix) in WORDS.items():
            word = prefix + self.text(fact_id).upper()
            setattr(found, name, kind.Value(word) if word in kind.DESCRIPTOR.values_by_name else 0)
        return found


def instrument_facts(instrument: types_pb2.Instrument, time_ns: int) -> list[Fact]:
    """The facts of an instrument; those that it does not state are left out."""
    found = []
    for fact_id, name in TEXTS.items():
        found.append((fact_id, getattr(instrument, name), ""))
    for fact_id, name in AMOUNTS.items():
        value = getattr(instrument, name) or ("0" if fact_id in NONE_IS_ZERO else "")
        found.append((fact_id, value, instrument.quote if fact_id in IN_QUOTE else ""))
    for fact_id, (name, kind, prefix) in WORDS.items():
        number = getattr(instrument, name)
        word = kind.Name(number).removeprefix(prefix).lower() if number else ""
        found.append((fact_id, word, ""))
    return [
        Fact(fact_id=fact_id, value=value, unit=unit, time_ns=time_ns)
        for fact_id, value, unit in found
        if value
    ]


def superseded_fact(newer: event_pb2.Event) -> Fact:
    """Of a signal that a newer one has overtaken."""
    return Fact(fact_id=SUPERSEDED_BY, value=newer.event_id.hex(), time_ns=newer.time_ns)
