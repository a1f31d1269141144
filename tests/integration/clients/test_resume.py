"""What the clients do when streams are lost, pages follow, and cursors are no longer held."""

import asyncio
from functools import partial

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    orders_pb2,
    signed_pb2,
    snapshots_pb2,
    trade_flow_pb2,
)
from venuemesh_client.book import Book

from kit.base.errors import CursorExpired, StoreUnavailable, TokenExpired
from tests.integration.clients import programs
from tests.integration.clients.programs import Example, Program
from tests.integration.clients.scripted_mesh import (
    TOKEN,
    ScriptedMesh,
    batches,
    cursor,
    serving,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

VENUE, SYMBOL, ACCOUNT = "binance", "BTCUSDT", "demo"
TRADES, BOOK = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK
AWAY = StoreUnavailable("Redis is away", store="redis")
INSTRUMENT = batch_pb2.InstrumentEntry(symbol=SYMBOL, price_scale=2, size_scale=3)
parametrize = partial(pytest.mark.parametrize, "example", indirect=True, ids=str)


async def play(mesh: ScriptedMesh, example: Example) -> tuple[int, list[str], str]:
    """Exit code, lines and errors of an example."""
    async with serving(mesh) as shown:
        with Program(example, shown) as program:
            result = await asyncio.to_thread(program.result)
    assert mesh.tokens == {f"Bearer {TOKEN}"}
    return result


def trade(sequence: int) -> batch_pb2.MarketDataBatch:
    """A batch with one trade, whose size tells its number."""
    columns = batch_pb2.TradeColumns(
        instrument=[0],
        price=[10_050],
        size=[sequence],
        side=[types_pb2.SIDE_BUY],
        venue_time_ns=[1],
        received_time_ns=[1],
        trade_id=[sequence],
    )
    return batch_pb2.MarketDataBatch(
        venue=VENUE,
        channel=TRADES,
        cursor=cursor(1, sequence),
        instruments=[INSTRUMENT],
        trades=columns,
    )


def expired(channel: str) -> CursorExpired:
    return CursorExpired("cursor is not held: too_old", channel=channel, why="too_old")


def positions(requests: list[market_data_pb2.SubscribeRequest]) -> list[list[tuple[int, int]]]:
    """The cursors of each request."""
    return [
        [(each.cursor.epoch, each.cursor.sequence) for each in request.resume_after]
        for request in requests
    ]


@parametrize(argvalues=programs.examples("trades"))
async def test_a_lost_subscription_goes_on_after_its_last_batch(example: Example):
    streams = [
        [batches(trade(1), trade(2)), AWAY],
        [batches(trade(3))],
        [expired("trades")],
        [batches(trade(7)), TokenExpired("the token has expired")],
        [],
    ]
    mesh = ScriptedMesh({"MarketData.Subscribe": streams})
    exit_code, lines, errors = await play(mesh, example)
    sizes = [0.001, 0.002, 0.003, 0.007]
    assert lines == [
        *(f"trade {SYMBOL} buy 100.5 {size}" for size in sizes[:3]),
        "gap cursor_expired cursor is not held: too_old",
        f"trade {SYMBOL} buy 100.5 {sizes[3]}",
    ]
    asked = mesh.requests["MarketData.Subscribe"]
    assert positions(asked) == [[], [(1, 2)], [(1, 3)], []]
    starts = [request.start_at == market_data_pb2.START_AT_EARLIEST for request in asked]
    assert starts == [False, False, False, True]
    assert exit_code == 1
    assert "the token has expired" in errors


def answer(epoch: int, sequence: int) -> market_data_pb2.GetOrderBookResponse:
    """A book of two levels, whose ask tells the epoch."""
    level = market_data_pb2.Level
    return market_data_pb2.GetOrderBookResponse(
        venue=VENUE,
        symbol=SYMBOL,
        state=market_data_pb2.BOOK_STATE_PROVEN,
        book_epoch=epoch,
        cursor=cursor(epoch, sequence),
        bids=[level(price="100", size="1")],
        asks=[level(price=f"{100 + epoch}", size="1")],
    )


def ask_update(epoch: int, sequence: int) -> batch_pb2.MarketDataBatch:
    """Another ask at 200."""
    columns = batch_pb2.BookColumns(
        instrument=[0],
        first_sequence=[9],
        last_sequence=[9],
        snapshot=[False],
        book_epoch=[epoch],
        venue_time_ns=[1],
        received_time_ns=[1],
        bid_count=[0],
        ask_count=[1],
        price=[20_000],
        size=[5],
    )
    return batch_pb2.MarketDataBatch(
        venue=VENUE,
        channel=BOOK,
        cursor=cursor(epoch, sequence),
        instruments=[INSTRUMENT],
        book=columns,
    )


@parametrize(argvalues=programs.examples("book"))
async def test_a_book_begins_with_a_snapshot_when_its_cursor_is_not_held(example: Example):
    proof, update = answer(2, 6), ask_update(2, 6)
    book = Book(SYMBOL, answer(2, 5))
    book.apply(update)
    proof.checksum = book.checksum()
    checkpoints = [
        batch_pb2.MarketDataBatch(venue=VENUE, channel=BOOK, cursor=cursor(2, number))
        for number in range(7, 500)
    ]
    mesh = ScriptedMesh(
        {
            "MarketData.GetOrderBook": [[answer(1, 1)], [AWAY], [answer(2, 5)], [proof]],
            "MarketData.Subscribe": [
                [expired("book")],
                [batches(update), *map(batches, checkpoints)],
            ],
            "MarketData.VerifyBook": [
                [market_data_pb2.VerifyBookResponse(verdict=market_data_pb2.BOOK_VERDICT_AGREES)]
            ],
        }
    )
    exit_code, lines, errors = await play(mesh, example)
    assert exit_code == 0, errors
    assert lines[0].startswith(f"{VENUE} {SYMBOL} proven, cursor 2-")
    assert lines[0].endswith(f", checksum {proof.checksum}")
    assert lines[1:4] == ["ask 200 0.005", "ask 102 1", "bid 100 1"]
    assert positions(mesh.requests["MarketData.Subscribe"])[:2] == [[(1, 1)], [(2, 5)]]


@parametrize(argvalues=programs.examples("book"))
async def test_a_book_with_another_checksum_is_an_error(example: Example):
    proof, update = answer(1, 2), ask_update(1, 2)
    proof.checksum = 1
    checkpoints = [
        batch_pb2.MarketDataBatch(venue=VENUE, channel=BOOK, cursor=cursor(1, number))
        for number in range(3, 500)
    ]
    mesh = ScriptedMesh(
        {
            "MarketData.GetOrderBook": [[answer(1, 1)], [proof]],
            "MarketData.Subscribe": [[batches(update), *map(batches, checkpoints)]],
        }
    )
    exit_code, lines, errors = await play(mesh, example)
    assert (exit_code, lines) == (1, [])
    assert f"checksum of {SYMBOL} is" in errors


@parametrize(argvalues=programs.examples("history"))
async def test_a_list_is_read_page_by_page(example: Example):
    row = market_data_pb2.Trade(price="100.5", size="1", venue_time_ns=1_700_000_000 * 10**9)
    pages = [
        history_pb2.ListTradesResponse(trades=[row] * 2, next_page_token="more"),
        history_pb2.ListTradesResponse(trades=[row]),
    ]
    mesh = ScriptedMesh({"History.ListTrades": [[page] for page in pages]})
    exit_code, lines, errors = await play(mesh, example)
    assert exit_code == 0, errors
    assert lines[-1] == "3 trades on 2 pages"
    assert len(lines) == 4
    asked = mesh.requests["History.ListTrades"]
    assert [request.page_token for request in asked] == ["", "more"]
    assert len({request.range.start_time_ns for request in asked}) == 1


def placed(order: orders_pb2.Order) -> inspector_pb2.SubmitManualResponse:
    answer = inspector_pb2.SubmitManualResponse()
    answer.verdict.verdict = risk_pb2.VERDICT_ALLOW
    answer.submitted.outcome = risk_pb2.SUBMISSION_OUTCOME_TAKEN
    answer.submitted.orders.append(order)
    return answer


def blocked() -> inspector_pb2.SubmitManualResponse:
    answer = inspector_pb2.SubmitManualResponse()
    answer.verdict.verdict = risk_pb2.VERDICT_BLOCK
    for name, result in (("mode", "PASSED"), ("order_notional_max", "BLOCKED")):
        check = answer.verdict.checks.add(name=name, projected="60", limit="50")
        check.result = f"CHECK_RESULT_{result}"
    return answer


def refused() -> inspector_pb2.SubmitManualResponse:
    answer = placed(orders_pb2.Order())
    answer.submitted.outcome = risk_pb2.SUBMISSION_OUTCOME_REFUSED
    answer.submitted.refusal_reason = "LIMIT_EXCEEDED"
    return answer


def pending() -> inspector_pb2.SubmitManualResponse:
    answer = placed(orders_pb2.Order())
    answer.ClearField("submitted")
    return answer


@parametrize(argvalues=programs.examples("order"))
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (blocked(), "blocked: order_notional_max is 60, limit 50"),
        (refused(), "LIMIT_EXCEEDED: "),
        (pending(), "not known yet: ask again with the same request id"),
    ],
    ids=["blocked", "refused", "pending"],
)
async def test_an_order_that_was_not_placed_says_why(
    example: Example, answer: inspector_pb2.SubmitManualResponse, text: str
):
    event = trade_flow_pb2.StreamExecutionsResponse
    snapshot = event(cursor=cursor(1, 1), snapshot=snapshots_pb2.ExecutionSnapshot())
    accounts = accounts_pb2.ListAccountsResponse(accounts=[{"account": ACCOUNT}])
    mesh = ScriptedMesh(
        {
            "TradeFlow.ListAccounts": [[accounts]],
            "Inspector.SubmitManual": [[answer]],
            "TradeFlow.StreamExecutions": [[snapshot]],
        }
    )
    exit_code, lines, errors = await play(mesh, example)
    assert (exit_code, lines) == (1, [])
    assert text in errors


@parametrize(argvalues=programs.examples("order"))
async def test_a_lost_stream_of_executions_goes_on_after_its_last_event(example: Example):
    content = orders_pb2.OrderContent(venue=VENUE, account=ACCOUNT, symbol=SYMBOL)
    order = orders_pb2.Order(content=content, client_order_id="a", filled_size="0")
    opened, filled = orders_pb2.Order(), orders_pb2.Order()
    opened.MergeFrom(order)
    opened.state = orders_pb2.ORDER_STATE_OPEN
    filled.MergeFrom(order)
    filled.state, filled.filled_size = orders_pb2.ORDER_STATE_FILLED, "0.001"
    filled.average_price = "100.5"
    event = trade_flow_pb2.StreamExecutionsResponse
    snapshot = event(cursor=cursor(1, 1), snapshot=snapshots_pb2.ExecutionSnapshot())
    taken = placed(order)
    mesh = ScriptedMesh(
        {
            "TradeFlow.ListAccounts": [
                [accounts_pb2.ListAccountsResponse(accounts=[{"account": ACCOUNT}])]
            ],
            "Inspector.SubmitManual": [[taken]],
            "TradeFlow.StreamExecutions": [
                [snapshot, event(cursor=cursor(1, 2), order=opened), AWAY],
                [event(cursor=cursor(1, 3), order=filled)],
            ],
        }
    )
    exit_code, lines, errors = await play(mesh, example)
    assert exit_code == 0, errors
    assert lines == ["placed a", "open, filled 0 at ", "filled, filled 0.001 at 100.5"]
    first, second = mesh.requests["TradeFlow.StreamExecutions"]
    assert not first.HasField("resume_after")
    assert second.resume_after == cursor(1, 2)
    (asked,) = mesh.requests["Inspector.SubmitManual"]
    assert (asked.operation, asked.content.size) == (signed_pb2.OPERATION_PLACE, "0.001")
