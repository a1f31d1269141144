"""Every error code that ccxt knows of our venues, against what the desks make of it.

Each code goes into an answer of the venue's form, through ccxt's own reading of errors and then
through ours. Two things must agree: an error of the network, of time, or of a venue that is not
well leaves an order unclear, never refused; and what is surely refused has the documented reason
that ccxt's class stands for. Where we know better, EXPLAINED says why.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccxt
import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.connector.orders.errors import ErrorTable
from kit.connector.orders.rest_session import class_names
from kit.execution.contract import OutcomeUnknown, Verdict
from venues.binance.errors import ERRORS as BINANCE
from venues.bybit.errors import ERRORS as BYBIT
from venues.coinbase.errors import ERRORS as COINBASE
from venues.deribit.errors import ERRORS as DERIBIT
from venues.kraken.errors import ERRORS as KRAKEN
from venues.okx.errors import ERRORS as OKX

UNCLEAR = "UNCLEAR"
ANY_REASON = frozenset(
    name.removeprefix("REJECT_REASON_")
    for name, _ in pb.RejectReason.items()
    if name not in ("REJECT_REASON_UNSPECIFIED", "REJECT_REASON_NEVER_ARRIVED")
)
EXPECTED: Mapping[str, frozenset[str]] = {
    "InsufficientFunds": frozenset({"INSUFFICIENT_FUNDS"}),
    # ccxt has one class for what would match at once and for a stop that would wake at once.
    "OrderImmediatelyFillable": frozenset({"WOULD_TAKE", "STOP_PRICE"}),
    "OrderNotFillable": frozenset({"WOULD_NOT_FILL"}),
    "DuplicateOrderId": frozenset({"DUPLICATE_ID"}),
    "BadSymbol": frozenset({"INSTRUMENT"}),
    "MarketClosed": frozenset({"INSTRUMENT"}),
    "ContractUnavailable": frozenset({"INSTRUMENT"}),
    "RateLimitExceeded": frozenset({"RATE_LIMIT"}),
    "DDoSProtection": frozenset({"RATE_LIMIT"}),
    "AuthenticationError": frozenset({"PERMISSION"}),
    "RestrictedLocation": frozenset({"PERMISSION"}),
    "ManualInteractionNeeded": frozenset({"PERMISSION"}),
    "NotSupported": frozenset({"NOT_SUPPORTED"}),
    "OnMaintenance": frozenset({"MAINTENANCE", UNCLEAR}),
    # A clock that is wrong: the call was turned away at the door.
    "InvalidNonce": frozenset({"OTHER"}),
    # Timeouts, connections, venues that are busy or away, answers that make no sense.
    "OperationFailed": frozenset({UNCLEAR}),
    "ExchangeError": ANY_REASON,
}
"""What may become of an error, by the nearest of its classes in ccxt. Others than the named ones
are only known to be refusals."""
INSIDE = "an error inside the venue, of which ccxt makes an ordinary refusal"
TURNED_AWAY = "turned away before it came to where orders are made"
NO_MATCH = "there was nothing to meet, or it may not be met: nothing was done"
OTHER_API = "of another API of Binance, whose codes are positive"
POST_ONLY = "a post-only order that could not be one"
FULL = "too many orders, of which ccxt makes a lack of rights or too many calls"
TOO_LARGE = "a position or an order that is too large, of which ccxt makes a lack of rights"
EXPLAINED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "binance": {
        "-1008": ("RATE_LIMIT", TURNED_AWAY),
        "-1112": ("WOULD_NOT_FILL", NO_MATCH),
        "-2021": ("STOP_PRICE", "of futures; the code is of another API too"),
        "-2022": ("REDUCE_ONLY", "of futures; the code is of another API too"),
        "-4004": ("SIZE", "a quantity below the smallest; the key's code is of another API"),
        "-4005": ("SIZE", "a quantity above the largest; the rate's code is of another API"),
        "-4014": ("PRICE", "not a multiple of the tick"),
        "-4016": ("PRICE", "above the price limit; the right's code is of another API"),
        "-4024": ("PRICE", "below the price limit; the balance's code is of another API"),
        "-5021": ("WOULD_NOT_FILL", NO_MATCH),
        "-5022": ("WOULD_TAKE", POST_ONLY),
        "Rest API trading is not enabled.": ("INSTRUMENT", "of this market"),
        "100001003": (UNCLEAR, OTHER_API),
        "200003903": (UNCLEAR, OTHER_API),
        "400002": (UNCLEAR, OTHER_API),
    },
    "binance_futures": {
        "-1004": (UNCLEAR, INSIDE),
        "-1008": ("RATE_LIMIT", TURNED_AWAY),
        "-1112": ("WOULD_NOT_FILL", NO_MATCH),
        "-2020": ("WOULD_NOT_FILL", NO_MATCH),
        "-2023": ("PERMISSION", "the account is being liquidated"),
        "-5041": ("WOULD_NOT_FILL", NO_MATCH),
        "-5022": ("WOULD_TAKE", POST_ONLY),
        "Rest API trading is not enabled.": ("INSTRUMENT", "of this market"),
    },
    "bybit": {
        "5004": (UNCLEAR, INSIDE),
        "10016": (UNCLEAR, INSIDE),
        "170001": (UNCLEAR, INSIDE),
        "170032": (UNCLEAR, INSIDE),
        "170146": (UNCLEAR, "an order whose creation took too long"),
        "170147": (UNCLEAR, "a cancellation that took too long"),
        "170149": (UNCLEAR, INSIDE),
        "170150": (UNCLEAR, INSIDE),
        "170234": (UNCLEAR, INSIDE),
    },
    "coinbase": {"internal_server_error": (UNCLEAR, INSIDE)},
    "deribit": {
        "10001": (UNCLEAR, "a failure of which nothing is told"),
        "10013": ("TOO_MANY_ORDERS", FULL),
        "10014": ("TOO_MANY_ORDERS", FULL),
        "10015": ("TOO_MANY_ORDERS", FULL),
        "10016": ("SIZE", TOO_LARGE),
        "10017": ("SIZE", TOO_LARGE),
        "10018": ("SIZE", TOO_LARGE),
        "11031": (UNCLEAR, "a failure of which nothing is told"),
        "11035": ("TOO_MANY_ORDERS", FULL),
        "11094": (UNCLEAR, INSIDE),
        "13008": (UNCLEAR, "an input that is wrong, or an error inside the venue"),
    },
    "kraken": {},
    "okx": {
        "51410": ("OTHER", "the order is being cancelled already"),
        "Internal Server Error": (UNCLEAR, INSIDE),
        "server error": (UNCLEAR, INSIDE),
    },
}


@dataclass(frozen=True)
class Form:
    """How a venue says no to an order."""

    exchange: str
    url: str
    status: int
    errors: ErrorTable
    sections: Sequence[Sequence[str]]
    """Of ccxt's table of errors."""


ORDINARY = (("exact",), ("broad",))
FORMS = {
    "binance": Form(
        "binance",
        "https://api.binance.com/api/v3/order",
        400,
        BINANCE,
        (*ORDINARY, ("spot", "exact")),
    ),
    "binance_futures": Form(
        "binanceusdm",
        "https://fapi.binance.com/fapi/v1/order",
        400,
        BINANCE,
        (*ORDINARY, ("linear", "exact")),
    ),
    "bybit": Form("bybit", "https://api.bybit.com/v5/order/create", 200, BYBIT, ORDINARY),
    "coinbase": Form(
        "coinbase", "https://api.coinbase.com/api/v3/brokerage/orders", 400, COINBASE, ORDINARY
    ),
    "deribit": Form("deribit", "https://www.deribit.com/api/v2/private/buy", 400, DERIBIT, ((),)),
    "kraken": Form("kraken", "https://api.kraken.com/0/private/AddOrder", 200, KRAKEN, ORDINARY),
    "okx": Form("okx", "https://www.okx.com/api/v5/trade/order", 200, OKX, ORDINARY),
}
"""OKX's swaps answer as its spot market does."""


def answers(venue: str, code: str) -> Iterator[dict[str, Any]]:
    """In which an error comes. What is no number in ccxt's table is a part of the words."""
    is_number = code.lstrip("-").isdigit()
    number, words = (int(code), "no") if is_number else (0, code)
    if venue.startswith("binance"):
        yield {"code": number or -2010, "msg": words}
    elif venue == "bybit":
        yield {"retCode": number or 10001, "retMsg": words, "result": {}, "time": 1}
    elif venue == "coinbase":
        yield {"error": code, "message": code}
        yield {"errors": [{"id": code, "message": code}]}
        if code.isupper():
            refused = {"error": code, "message": "", "preview_failure_reason": code}
            yield {"success": False, "error_response": refused}
    elif venue == "deribit":
        yield {"jsonrpc": "2.0", "error": {"code": number, "message": words}}
    elif venue == "kraken":
        yield {"error": [f"EOrder{code}" if code.startswith(":") else code]}
    else:
        yield {"code": code if is_number else "1", "msg": words, "data": []}
        if is_number:
            yield {"code": "1", "msg": "", "data": [{"sCode": code, "sMsg": ""}]}


def judged(form: Form, exchange: Any, status: int, body: str) -> tuple[Verdict, list[str]]:
    """What comes of an answer, and the classes of ccxt's error."""
    classes: list[str] = []
    try:
        exchange.handle_errors(status, "", form.url, "POST", {}, body, json.loads(body), {}, "")
    except ccxt.BaseError as error:
        classes = class_names(error)
    found = form.errors.decode(body)
    return form.errors.verdict(status, body, found, classes), classes


def outcome_of(receipt: Verdict) -> str:
    if isinstance(receipt, OutcomeUnknown):
        return UNCLEAR
    return pb.RejectReason.Name(receipt.reason).removeprefix("REJECT_REASON_")


def table_of(form: Form, exchange: Any) -> Iterator[str]:
    """The codes of a venue, each once."""
    seen: dict[str, None] = {}
    for section in form.sections:
        table = exchange.exceptions
        for name in section:
            table = table[name]
        seen |= {code: None for code, kind in table.items() if not isinstance(kind, dict)}
    yield from seen


@pytest.mark.parametrize("venue", FORMS)
def test_every_code_of_ccxt_is_judged_as_its_class_says_or_explained(venue):
    form, explained = FORMS[venue], EXPLAINED[venue]
    exchange = getattr(ccxt, form.exchange)()
    wrong, used = [], set()
    codes = list(table_of(form, exchange))
    for code in codes:
        for answer in answers(venue, code):
            receipt, classes = judged(form, exchange, form.status, json.dumps(answer))
            found = outcome_of(receipt)
            expected = next((EXPECTED[name] for name in classes if name in EXPECTED), ANY_REASON)
            if code in explained:
                used.add(code)
                expected = frozenset({explained[code][0]})
            if found not in expected:
                wrong.append((code, classes[:1], found, sorted(expected)))
    assert not wrong
    assert used == set(explained), "an explanation that nothing needs"
    assert len(codes) > 15


@pytest.mark.parametrize("venue", FORMS)
def test_what_is_unclear_does_not_become_a_refusal_without_ccxts_classes(venue):
    """Answers that ccxt takes for ordinary ones are judged by our tables alone."""
    form = FORMS[venue]
    exchange = getattr(ccxt, form.exchange)()
    wrong = []
    for code in table_of(form, exchange):
        for answer in answers(venue, code):
            body = json.dumps(answer)
            receipt, classes = judged(form, exchange, form.status, body)
            error = form.errors.decode(body)
            is_own = venue not in ("binance", "binance_futures") or code in OWN_FAILURES
            if error is not None and is_own and isinstance(receipt, OutcomeUnknown):
                alone = form.errors.verdict_of_error(error)
                if not isinstance(alone, OutcomeUnknown):
                    wrong.append((code, classes[:1]))
    assert not wrong


OWN_FAILURES = frozenset({"-1000", "-1001", "-1004", "-1006", "-1007", "-2012"})
"""Binance's failures of orders; the others are of margin, savings and options."""


def answers_as_they_came() -> Iterator[tuple[str, int, str, str]]:
    """From the comments of ccxt's classes, where people have pasted them."""
    for line in (Path(__file__).parent / "answers.txt").read_text().splitlines():
        if not line.startswith("#"):
            venue, status, expected, body = line.split("\t")
            yield venue, int(status), expected, body


@pytest.mark.parametrize(("venue", "status", "expected", "body"), list(answers_as_they_came()))
def test_answers_as_they_came_have_their_reasons(venue, status, expected, body):
    form = FORMS[venue]
    receipt, _ = judged(form, getattr(ccxt, form.exchange)(), status, body)
    assert outcome_of(receipt) == expected
