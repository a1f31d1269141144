"""Requests that cannot be answered: each has its documented reason, over gRPC and over REST."""

from urllib.parse import urlencode

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.live.v1 import live_pb2, live_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from tests.integration import recorded
from tests.integration.mesh import CALL_SECONDS_MAX, SYMBOL, VENUE, metadata

pytestmark = pytest.mark.integration

DETAILS_KEY = "grpc-status-details-bin"
UNKNOWN = "NEVERUSDT"
TRADES, QUOTES = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES
OLD_EPOCH = types_pb2.Cursor(epoch=1, sequence=1)
NEWER_EPOCH = types_pb2.Cursor(epoch=2**63 - 2, sequence=1)


class Calls:
    """The methods of the mesh, behind its gateway."""

    def __init__(self, mesh):
        self._market_data = market_data_pb2_grpc.MarketDataStub(mesh.channel)
        self._history = history_pb2_grpc.HistoryStub(mesh.channel)
        self._live = live_pb2_grpc.LiveStub(mesh.channel)

    def market_data(self, method, **fields):
        request = getattr(market_data_pb2, f"{method}Request")(venue=VENUE, **fields)
        call = getattr(self._market_data, method)
        return call(request, metadata=metadata(), timeout=CALL_SECONDS_MAX)

    def history(self, method, **fields):
        request = getattr(history_pb2, f"{method}Request")(venue=VENUE, **fields)
        return getattr(self._history, method)(request, timeout=CALL_SECONDS_MAX)

    def subscribe(self, **fields):
        return next(self.market_data("Subscribe", **fields))

    def live(self, **fields):
        selector = live_pb2.Selector(venue=fields.pop("venue", VENUE), **fields)
        request = live_pb2.SubscribeRequest(selectors=[selector])
        return next(self._live.Subscribe(request, timeout=CALL_SECONDS_MAX))


@pytest.fixture
def calls(replayed):
    return Calls(replayed)


def after(cursor, channel=TRADES):
    return [types_pb2.ChannelCursor(channel=channel, cursor=cursor)]


GRPC = {
    "a book of an unknown instrument": (
        lambda calls: calls.market_data("GetOrderBook", symbol=UNKNOWN),
        ("NOT_FOUND", "UNKNOWN_INSTRUMENT", {"venue": VENUE, "symbol": UNKNOWN}),
    ),
    "a stream of an unknown instrument": (
        lambda calls: calls.subscribe(channels=[TRADES], symbols=[UNKNOWN]),
        ("NOT_FOUND", "UNKNOWN_INSTRUMENT", {"venue": VENUE, "symbol": UNKNOWN}),
    ),
    "a venue's trades of an unknown instrument": (
        lambda calls: calls.market_data("ListTrades", symbol=UNKNOWN),
        ("NOT_FOUND", "UNKNOWN_INSTRUMENT", {"venue": VENUE, "symbol": UNKNOWN}),
    ),
    "recorded trades of an unknown instrument": (
        lambda calls: calls.history("ListTrades", symbol=UNKNOWN),
        ("NOT_FOUND", "UNKNOWN_INSTRUMENT", {"venue": VENUE, "symbol": UNKNOWN}),
    ),
    "live trades of an unknown instrument": (
        lambda calls: calls.live(channels=[TRADES], symbols=[UNKNOWN]),
        ("NOT_FOUND", "UNKNOWN_INSTRUMENT", {"venue": VENUE, "symbol": UNKNOWN}),
    ),
    "live trades of an unknown venue": (
        lambda calls: calls.live(venue="nowhere", channels=[TRADES]),
        ("NOT_FOUND", "UNKNOWN_SERVICE", {"name": "nowhere"}),
    ),
    "a page token that nobody gave": (
        lambda calls: calls.history("ListTrades", symbol=SYMBOL, page_token="made-up"),
        ("INVALID_ARGUMENT", "BAD_PAGE_TOKEN", {"page_token": "made-up"}),
    ),
    "a page token of instruments that nobody gave": (
        lambda calls: calls.market_data("ListInstruments", page_token="made-up"),
        ("INVALID_ARGUMENT", "BAD_PAGE_TOKEN", {"page_token": "made-up"}),
    ),
    "a cursor of an older epoch": (
        lambda calls: calls.subscribe(channels=[TRADES], resume_after=after(OLD_EPOCH)),
        ("OUT_OF_RANGE", "CURSOR_EXPIRED", {"channel": "trades", "why": "other_epoch"}),
    ),
    "a cursor of an epoch that never was": (
        lambda calls: calls.subscribe(channels=[TRADES], resume_after=after(NEWER_EPOCH)),
        ("OUT_OF_RANGE", "CURSOR_EXPIRED", {"channel": "trades", "why": "other_epoch"}),
    ),
    "a live cursor of an older epoch": (
        lambda calls: calls.live(channels=[QUOTES], resume_after=after(OLD_EPOCH, QUOTES)),
        ("OUT_OF_RANGE", "CURSOR_EXPIRED", {"channel": "quotes", "why": "other_epoch"}),
    ),
    "a live cursor that is ahead": (
        lambda calls: calls.live(channels=[TRADES], resume_after=after(NEWER_EPOCH)),
        ("OUT_OF_RANGE", "CURSOR_EXPIRED", {"channel": "trades", "why": "ahead"}),
    ),
    "no channel": (
        lambda calls: calls.subscribe(),
        ("INVALID_ARGUMENT", "BAD_REQUEST", {"field": "channels"}),
    ),
    "a channel that is not there": (
        lambda calls: calls.subscribe(channels=[0]),
        ("INVALID_ARGUMENT", "BAD_REQUEST", {"field": "channels", "value": "0"}),
    ),
    "a live channel that is not there": (
        lambda calls: calls.live(channels=[0]),
        ("INVALID_ARGUMENT", "BAD_REQUEST", {"field": "channels", "value": "0"}),
    ),
    "a cursor of a channel that was not asked for": (
        lambda calls: calls.live(channels=[TRADES], resume_after=after(OLD_EPOCH, QUOTES)),
        ("INVALID_ARGUMENT", "BAD_REQUEST", {"field": "resume_after"}),
    ),
    "a depth out of range": (
        lambda calls: calls.market_data("GetOrderBook", symbol=SYMBOL, depth=5001),
        ("INVALID_ARGUMENT", "BAD_REQUEST", {"field": "depth", "value": "5001"}),
    ),
    "an interval that is not there": (
        lambda calls: calls.history("ListBars", symbol=SYMBOL, interval="7m"),
        ("INVALID_ARGUMENT", "BAD_REQUEST", {"field": "interval", "value": "7m"}),
    ),
}


@pytest.mark.parametrize("case", GRPC)
def test_grpc_gives_the_documented_reason(case, calls):
    call, (code, reason, reported) = GRPC[case]
    with pytest.raises(grpc.RpcError) as caught:
        call(calls)
    info = error_info(caught.value)
    assert (caught.value.code().name, info.domain, info.reason) == (code, "venuemesh", reason)
    assert reported.items() <= dict(info.metadata).items()


HISTORY = f"/v1/history/{VENUE}/{SYMBOL}"
REST = {
    f"/v1/venues/{VENUE}/instruments/{UNKNOWN}/book": (404, "UNKNOWN_INSTRUMENT"),
    f"/v1/venues/{VENUE}/stream?channels=CHANNEL_TRADES&symbols={UNKNOWN}": (
        404,
        "UNKNOWN_INSTRUMENT",
    ),
    f"/v1/venues/{VENUE}/stream": (400, "BAD_REQUEST"),
    f"/v1/venues/{VENUE}/instruments?page_token=made-up": (400, "BAD_PAGE_TOKEN"),
    f"/v1/history/{VENUE}/{UNKNOWN}/trades": (404, "UNKNOWN_INSTRUMENT"),
    f"/v1/history/{VENUE}/{UNKNOWN}/bars?interval=1m": (404, "UNKNOWN_INSTRUMENT"),
    f"/v1/history/nowhere/{SYMBOL}/trades": (404, "UNKNOWN_INSTRUMENT"),
    f"{HISTORY}/trades?page_token=made-up": (400, "BAD_PAGE_TOKEN"),
    f"{HISTORY}/bars?interval=7m": (400, "BAD_REQUEST"),
    f"{HISTORY}/trades?page_size=10001": (400, "BAD_REQUEST"),
    "/v1/venues/nowhere/instruments": (404, "UNKNOWN_SERVICE"),
}


@pytest.mark.parametrize("path", REST)
def test_rest_gives_the_documented_reason(path, replayed):
    status, error = replayed.get(path)
    assert (status, error["details"][0]["reason"]) == REST[path]


@pytest.mark.parametrize(
    ("cursor", "why"),
    [({"epoch": "1", "sequence": "1"}, "other_epoch"), ({"epoch": str(2**63 - 2)}, "ahead")],
)
def test_a_live_cursor_of_another_epoch_is_rejected_over_rest(cursor, why, replayed):
    resume_after = {"channel": "CHANNEL_TRADES", "cursor": cursor}
    selector = {"venue": VENUE, "channels": ["CHANNEL_TRADES"], "resume_after": [resume_after]}
    status, error = replayed.post("/v1/live:subscribe", {"selectors": [selector]})
    detail = error["details"][0]
    assert (status, detail["reason"], detail["metadata"]["why"]) == (400, "CURSOR_EXPIRED", why)


def test_a_page_token_belongs_to_its_list(replayed):
    token = replayed.get(f"{HISTORY}/trades?page_size=10")[1]["next_page_token"]
    other = urlencode({"page_token": token, "order": "SORT_ORDER_NEWEST_FIRST"})
    status, error = replayed.get(f"{HISTORY}/trades?{other}")
    assert (status, error["details"][0]["reason"]) == (400, "BAD_PAGE_TOKEN")


def test_bad_requests_do_not_change_the_batches(replayed, truth):
    """Run last: the batches have the same sequence numbers as in the record."""
    status, book = replayed.get(f"/v1/venues/{VENUE}/instruments/{SYMBOL}/book")
    assert status == 200
    epochs = {epoch for (epoch,) in replayed.sql("SELECT DISTINCT epoch FROM book_batches")}
    assert epochs == {int(book["cursor"]["epoch"])}
    assert recorded.gaps(replayed) == []


def error_info(error):
    """The ErrorInfo that came with an error."""
    details = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(details[DETAILS_KEY])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info
