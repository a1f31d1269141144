"""Checks our verdict on every error code that ccxt knows of our venues, and on answers without one.

Each code is put into an answer in the venue's form, and read by ccxt and then by our error tables.
An error of the network, a timeout or an error inside the venue must be OutcomeUnknown, never
Rejected. A rejection must have the reason that ccxt's error class stands for; a code that our
tables do not list is OutcomeUnknown, whatever ccxt's class is. ``EXPLAINED`` lists the exceptions,
each with its cause.
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

UNKNOWN = "UNKNOWN"
ANY_REASON = frozenset(
    name.removeprefix("REJECT_REASON_")
    for name, _ in pb.RejectReason.items()
    if name not in ("REJECT_REASON_UNSPECIFIED", "REJECT_REASON_NEVER_ARRIVED")
)
EXPECTED: Mapping[str, frozenset[str]] = {
    "InsufficientFunds": frozenset({"INSUFFICIENT_FUNDS"}),
    # One class of ccxt for an order that would match and a stop that would trigger at once.
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
    "OnMaintenance": frozenset({"MAINTENANCE", UNKNOWN}),
    # The clock is wrong: the venue rejected the call before it processed it.
    "InvalidNonce": frozenset({"CLOCK"}),
    # Timeouts, lost connections, venues that are busy or away, answers that cannot be read.
    "OperationFailed": frozenset({UNKNOWN}),
    "ExchangeError": ANY_REASON,
}
"""The allowed verdicts, by the nearest error class of ccxt. Errors of other classes are only known
to be rejections."""
INSIDE = "an error inside the venue, which ccxt reads as an ordinary rejection"
TURNED_AWAY = "rejected before it reached the matching engine"
NO_MATCH = "there was nothing to match with, or it may not match: nothing was done"
OTHER_API = "a code of another API of Binance, whose codes are positive"
POST_ONLY = "a post-only order that would have matched"
FULL = "too many orders, which ccxt reads as missing rights or too many calls"
TOO_LARGE = "a position or an order that is too large, which ccxt reads as missing rights"
EXPLAINED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "binance": {
        "-1008": ("RATE_LIMIT", TURNED_AWAY),
        "-1112": ("WOULD_NOT_FILL", NO_MATCH),
        "-2021": ("STOP_PRICE", "of futures; the code is of another API too"),
        "-2022": ("REDUCE_ONLY", "of futures; the code is of another API too"),
        "-4004": ("SIZE", "a quantity below the smallest; the key's code is of another API"),
        "-4005": ("SIZE", "a quantity above the largest; the rate's code is of another API"),
        "-4013": ("PRICE", "of futures; the code is of another API too"),
        "-4014": ("PRICE", "not a multiple of the tick"),
        "-4015": ("OTHER", "of futures; the code is of another API too"),
        "-4016": ("PRICE", "above the price limit; the right's code is of another API"),
        "-4024": ("PRICE", "below the price limit; the balance's code is of another API"),
        "-4045": ("TOO_MANY_ORDERS", "of futures; the code is of another API too"),
        "-5021": ("WOULD_NOT_FILL", NO_MATCH),
        "-5022": ("WOULD_TAKE", POST_ONLY),
        "Rest API trading is not enabled.": ("INSTRUMENT", "of this market"),
        "100001003": (UNKNOWN, OTHER_API),
        "200003903": (UNKNOWN, OTHER_API),
        "400002": (UNKNOWN, OTHER_API),
    },
    "binance_futures": {
        "-1004": (UNKNOWN, INSIDE),
        "-1008": ("RATE_LIMIT", TURNED_AWAY),
        "-1112": ("WOULD_NOT_FILL", NO_MATCH),
        "-2020": ("WOULD_NOT_FILL", NO_MATCH),
        "-2023": ("PERMISSION", "the account is being liquidated"),
        "-5041": ("WOULD_NOT_FILL", NO_MATCH),
        "-5022": ("WOULD_TAKE", POST_ONLY),
        "Rest API trading is not enabled.": ("INSTRUMENT", "of this market"),
    },
    "bybit": {
        "5004": (UNKNOWN, INSIDE),
        "10016": (UNKNOWN, INSIDE),
        "170001": (UNKNOWN, INSIDE),
        "170032": (UNKNOWN, INSIDE),
        "170146": (UNKNOWN, "an order whose creation took too long"),
        "170147": (UNKNOWN, "a cancellation that took too long"),
        "170149": (UNKNOWN, INSIDE),
        "170150": (UNKNOWN, INSIDE),
        "170234": (UNKNOWN, INSIDE),
    },
    "coinbase": {"internal_server_error": (UNKNOWN, INSIDE)},
    "deribit": {
        "10001": (UNKNOWN, "a failure of which nothing is told"),
        "10013": ("TOO_MANY_ORDERS", FULL),
        "10014": ("TOO_MANY_ORDERS", FULL),
        "10015": ("TOO_MANY_ORDERS", FULL),
        "10016": ("SIZE", TOO_LARGE),
        "10017": ("SIZE", TOO_LARGE),
        "10018": ("SIZE", TOO_LARGE),
        "11031": (UNKNOWN, "a failure of which nothing is told"),
        "11035": ("TOO_MANY_ORDERS", FULL),
        "11094": (UNKNOWN, INSIDE),
        "13008": (UNKNOWN, "an input that is wrong, or an error inside the venue"),
    },
    "kraken": {},
    "okx": {
        "50112": ("CLOCK", "the time of a call, which ccxt reads as missing rights"),
        "51410": ("OTHER", "the order is being cancelled already"),
        "Internal Server Error": (UNKNOWN, INSIDE),
        "server error": (UNKNOWN, INSIDE),
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
"""The swaps of OKX have the answers of its spot market."""


def answers(venue: str, code: str) -> Iterator[dict[str, Any]]:
    """Yield the answers that can carry an error. A key of ccxt's table that is not a number is part
    of the message."""
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


def verdict_on(form: Form, exchange: Any, status: int, body: str) -> tuple[Verdict, list[str]]:
    """Return our verdict on an answer, and the classes of ccxt's error."""
    classes: list[str] = []
    try:
        exchange.handle_errors(status, "", form.url, "POST", {}, body, json.loads(body), {}, "")
    except ccxt.BaseError as error:
        classes = class_names(error)
    return form.errors.verdict(status, form.errors.decode(body), body), classes


def outcome_of(verdict: Verdict) -> str:
    if isinstance(verdict, OutcomeUnknown):
        return UNKNOWN
    return pb.RejectReason.Name(verdict.reason).removeprefix("REJECT_REASON_")


def table_of(form: Form, exchange: Any) -> Iterator[str]:
    """Yield the codes of a venue, each once."""
    seen: dict[str, None] = {}
    for section in form.sections:
        table = exchange.exceptions
        for name in section:
            table = table[name]
        seen |= {code: None for code, kind in table.items() if not isinstance(kind, dict)}
    yield from seen


@pytest.mark.parametrize("venue", FORMS)
def test_verdict_on_every_code_of_ccxt_agrees_with_its_class_or_is_explained(venue):
    form, explained = FORMS[venue], EXPLAINED[venue]
    exchange = getattr(ccxt, form.exchange)()
    wrong, used = [], set()
    codes = list(table_of(form, exchange))
    for code in codes:
        for answer in answers(venue, code):
            verdict, classes = verdict_on(form, exchange, form.status, json.dumps(answer))
            found = outcome_of(verdict)
            expected = next((EXPECTED[name] for name in classes if name in EXPECTED), ANY_REASON)
            # A text is put under a code that stands for many reasons.
            expected |= {UNKNOWN} if code.lstrip("-").isdigit() else {UNKNOWN, "OTHER"}
            if code in explained:
                used.add(code)
                expected = frozenset({explained[code][0]})
            if found not in expected:
                wrong.append((code, classes[:1], found, sorted(expected)))
    assert not wrong
    assert used == set(explained), "an explanation that no code needs"
    assert len(codes) > 15


UNCLEAR_CODES: Mapping[str, Sequence[str]] = {
    "binance": ("-1000", "-1001", "-1006", "-1007", "-1010", "-1099", "-2012", "-2099", "-9999"),
    "binance_futures": ("-1000", "-1004", "-1007", "-1999", "-2099", "-4999", "-5999"),
    "bybit": ("10000", "10016", "10019", "5004", "170007", "3400214", "111111"),
    "coinbase": ("ABORTED", "CANCELLED", "UNKNOWN", "INTERNAL", "UNAVAILABLE", "SOMETHING_NEW",
                 "COMMANDER_REJECTED_NEW_ORDER_TIMEOUT", "DEADLINE_EXCEEDED"),
    "deribit": ("10001", "10040", "11031", "13888", "-32603", "19999"),
    "kraken": ("EGeneral:Internal error", "EGeneral:Internal error:a1b2", "EService:Unavailable",
               "EService:Something new", "EOrder:Insufficient funds:a1b2", "EOrder:Something new",
               "EOrder:Cancel pending", "WGeneral:Something"),
    "okx": ("50001", "50004", "50026", "51149", "51054", "59999"),
}  # fmt: skip
"""Codes that stand for a failure behind the matching engine, and codes that no table lists."""
REJECTED_CODE: Mapping[str, tuple[str, str]] = {
    "binance": ("-1013", "OTHER"),
    "binance_futures": ("-2019", "INSUFFICIENT_FUNDS"),
    "bybit": ("170131", "INSUFFICIENT_FUNDS"),
    "coinbase": ("INSUFFICIENT_FUND", "INSUFFICIENT_FUNDS"),
    "deribit": ("10009", "INSUFFICIENT_FUNDS"),
    "kraken": ("EOrder:Insufficient funds", "INSUFFICIENT_FUNDS"),
    "okx": ("51008", "INSUFFICIENT_FUNDS"),
}
SHAPELESS = (
    "",
    "<html><body>502 Bad Gateway</body></html>",
    "null",
    "true",
    "17",
    '"rejected"',
    "[]",
    "{}",
    '{"status":"rejected"}',
    '{"error":{}}',
    '{"error":[]}',
    '{"code":"none"}',
    '{"retCode":0}',
    '{"success":true}',
    '{"results":[]}',
    '{"errors":[]}',
)
"""Bodies that are no error of any venue."""


@pytest.mark.parametrize(
    ("venue", "code"), [(venue, code) for venue, codes in UNCLEAR_CODES.items() for code in codes]
)
def test_code_that_proves_no_rejection_leaves_the_outcome_unknown(venue, code):
    form = FORMS[venue]
    exchange = getattr(ccxt, form.exchange)()
    for answer in answers(venue, code):
        for status in (form.status, 200, 400, 500, 503):
            verdict, _ = verdict_on(form, exchange, status, json.dumps(answer))
            assert outcome_of(verdict) == UNKNOWN, (status, answer)


@pytest.mark.parametrize("venue", FORMS)
def test_rejection_under_an_odd_status_leaves_the_outcome_unknown(venue):
    form, (code, reason) = FORMS[venue], REJECTED_CODE[venue]
    for answer in answers(venue, code):
        body = json.dumps(answer)
        error = form.errors.decode(body)
        assert outcome_of(form.errors.verdict(form.status, error, body)) == reason
        for status in (0, 201, 202, 302, 408, 409, 499, 500, 502, 503, 504, 520):
            assert outcome_of(form.errors.verdict(status, error, body)) == UNKNOWN, status


@pytest.mark.parametrize("venue", FORMS)
@pytest.mark.parametrize("body", SHAPELESS)
def test_answer_of_another_shape_leaves_the_outcome_unknown(venue, body):
    form = FORMS[venue]
    for status in (200, 400, 404, 500, 502):
        found = form.errors.verdict(status, form.errors.decode(body), body)
        assert outcome_of(found) == UNKNOWN, status


@pytest.mark.parametrize("venue", FORMS)
def test_half_an_answer_leaves_the_outcome_unknown(venue):
    form = FORMS[venue]
    for answer in answers(venue, REJECTED_CODE[venue][0]):
        whole = json.dumps(answer)
        for end in range(len(whole)):
            found = form.errors.verdict(form.status, form.errors.decode(whole[:end]), whole[:end])
            assert outcome_of(found) == UNKNOWN, whole[:end]


def test_several_errors_of_kraken_prove_nothing_together():
    body = '{"error":["EOrder:Insufficient funds","EGeneral:Internal error"]}'
    assert outcome_of(KRAKEN.verdict(200, KRAKEN.decode(body), body)) == UNKNOWN


def test_unknown_reason_of_coinbase_counts_more_than_a_known_one():
    row = {"error": "ABORTED", "preview_failure_reason": "PREVIEW_INSUFFICIENT_FUND"}
    body = json.dumps({"success": False, "error_response": row})
    assert outcome_of(COINBASE.verdict(200, COINBASE.decode(body), body)) == UNKNOWN


def recorded_answers() -> Iterator[tuple[str, int, str, str]]:
    """Yield real answers that are quoted in the comments of ccxt's classes."""
    for line in (Path(__file__).parent / "answers.txt").read_text().splitlines():
        if not line.startswith("#"):
            venue, status, expected, body = line.split("\t")
            yield venue, int(status), expected, body


@pytest.mark.parametrize(("venue", "status", "expected", "body"), list(recorded_answers()))
def test_recorded_answer_has_its_reason(venue, status, expected, body):
    form = FORMS[venue]
    verdict, _ = verdict_on(form, getattr(ccxt, form.exchange)(), status, body)
    assert outcome_of(verdict) == expected
