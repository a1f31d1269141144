"""What no strategy has opened is announced and never touched, until a person adopts it."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import adoptions_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import account_books
from core.inspector.account_reports import AccountReport
from core.inspector.legacy_positions import ADOPTED
from core.inspector.protection import PROTECTED
from core.inspector.reconciliation import STRATEGY_POSITION, compare
from core.inspector.tests.books import hold
from core.inspector.tests.rig import mode
from core.inspector.tests.test_lifecycles import STOP, tell
from core.inspector.tests.test_risk_reports import protections, reports, until_state
from core.inspector.tests.test_stop_monitor import end_exits, working
from kit.accounting.money import ATOMS_PER_UNIT
from kit.base.errors import BadRequest
from tests.support.waiting import eventually, until

PERPETUAL = "BTCUSDT_PERP"
ACCOUNT = "binance", "paper"
TERMS = types_pb2.Instrument(
    venue="binance",
    symbol=PERPETUAL,
    base="BTC",
    quote="USDT",
    settlement_asset="USDT",
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
    size_step="0.001",
    size_min="0.001",
)
MARKET = orders_pb2.ORDER_TYPE_MARKET


async def held(rig, size):
    """A process of the inspector, and a position in the books that no strategy has opened."""
    rig.instruments["binance", PERPETUAL] = TERMS
    process = await rig.start()
    await until(lambda: process.active.is_active)
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO ledger_contracts VALUES ('binance', %s, 'BTC', 'USDT', 'USDT', 1)",
            [PERPETUAL],
        )
    if size:
        await hold(rig, Decimal(size), PERPETUAL, strategy="")
    return process


async def change(rig, size, symbol=PERPETUAL):
    """Something else has changed the position."""
    async with rig.database.transaction() as connection:
        await connection.execute(
            "UPDATE ledger_positions SET size = %s WHERE symbol = %s",
            [int(Decimal(size) * ATOMS_PER_UNIT), symbol],
        )


async def looks(process, times=2):
    for _ in range(times):
        await process.legacy.look()


def request(**fields):
    asked = {"stop_price": "59000", "target_price": "62000", "reason": "it was there before"}
    place = {"venue": "binance", "account": "paper", "symbol": PERPETUAL}
    return adoptions_pb2.AdoptPositionRequest(**{**place, **asked, **fields})


async def listed(rig):
    asked = adoptions_pb2.ListLegacyPositionsRequest()
    found = (await reports(rig, rig.process).ListLegacyPositions(asked, None)).positions
    return [(one.venue, one.account, one.symbol, one.size) for one in found]


async def announced(rig):
    return [one.size for one in await rig.payloads("legacy_position_changed")]


async def test_legacy_position_is_announced_once_and_never_touched(rig):
    process = await held(rig, "2")
    await looks(process, 1)
    assert await announced(rig) == []
    await looks(process, 4)
    assert await announced(rig) == ["2"]
    assert await listed(rig) == [(*ACCOUNT, PERPETUAL, "2")]
    # Another size is listed, and another side is announced.
    await change(rig, "3")
    await looks(process)
    assert await listed(rig) == [(*ACCOUNT, PERPETUAL, "3")]
    await change(rig, "-1")
    await looks(process)
    await change(rig, "0")
    await looks(process)
    assert await announced(rig) == ["2", "-1", "0"]
    assert await listed(rig) == []
    await process.changes.set(mode(risk_pb2.TRADING_MODE_CLOSING_ALL), "lena")
    await process.unprotected._clock.sleep(10)
    assert rig.venue.made == []


async def test_restart_announces_nothing_twice(rig):
    process = await held(rig, "2")
    await looks(process)
    await rig.kill()
    process = await rig.start()
    await until(lambda: process.active.is_active)
    await looks(process, 3)
    assert await announced(rig) == ["2"]


async def test_positions_of_strategies_and_on_spot_are_no_legacy(rig):
    process = await held(rig, "")
    await hold(rig, Decimal(2), PERPETUAL)
    await hold(rig, Decimal(2), strategy="")
    await looks(process, 3)
    assert await announced(rig) == []


@pytest.mark.parametrize(
    ("size", "fields", "side"),
    [
        ("2", {}, types_pb2.SIDE_SELL),
        ("-2", {"stop_price": "61000", "target_price": "58000"}, types_pb2.SIDE_BUY),
    ],
)
async def test_adopted_position_gets_its_exits_and_is_closed_like_all(rig, size, fields, side):
    process = await held(rig, size)
    await looks(process)
    answer = await process.adoptions.adopt(request(**fields), "lena")
    assert answer.size == size
    found = await until_state(rig, PROTECTED)
    assert (found.strategy, found.size) == (ADOPTED, size)
    exits = [one.content for one in rig.venue.orders.values()]
    assert {(one.side, one.size, one.reduce_only) for one in exits} == {(side, "2", True)}
    assert exits[0].stop_price == request(**fields).stop_price
    (adopted,) = await rig.payloads("position_adopted")
    assert (adopted.caller, adopted.reason) == ("lena", "it was there before")
    await looks(process)
    assert await listed(rig) == []
    # Nothing of it is a difference between ledger and inspector.
    async with rig.database.transaction() as connection:
        books = await account_books.read(connection, [ACCOUNT])
    differences = compare(AccountReport(), books[ACCOUNT], [], 0).differences
    assert [one for one in differences if one.item == STRATEGY_POSITION] == []
    await process.changes.set(mode(risk_pb2.TRADING_MODE_CLOSING_ALL), "lena")
    await rig.until_flat()
    last = list(rig.venue.orders.values())[-1].content
    assert (last.type, last.side, last.size) == (MARKET, side, "2")


async def test_stop_of_an_adopted_position_ends_it(rig):
    process = await held(rig, "2")
    await process.adoptions.adopt(request(), "lena")
    await until_state(rig, PROTECTED)
    rig.venue.trigger(STOP)
    await change(rig, "0")
    await tell(rig)
    await rig.until_flat()
    await looks(process, 3)
    assert len(rig.venue.made) == 2
    assert await announced(rig) == []


async def test_adopted_position_that_lost_its_stop_gets_another_one_after_a_restart(rig):
    process = await held(rig, "2")
    await process.adoptions.adopt(request(trailing_offset="500"), "lena")
    await until_state(rig, PROTECTED)
    await rig.kill()
    end_exits(rig)
    await rig.start()
    await until(lambda: working(rig) == ["59000", "62000", ""])
    assert (await until_state(rig, PROTECTED)).trailing_offset == "500"


def at_venue(rig):
    return [one for one in rig.venue.orders.values() if one.state < 7]


async def test_part_that_is_closed_elsewhere_leaves_exits_for_the_rest(rig):
    process = await held(rig, "2")
    await process.adoptions.adopt(request(), "lena")
    await until_state(rig, PROTECTED)
    await change(rig, "0.5")
    await looks(process)

    async def is_smaller():
        return [one.size for one in await protections(rig)] == ["0.5"]

    await eventually(is_smaller)
    await until(lambda: {one.content.size for one in at_venue(rig)} == {"0.5"})
    assert working(rig) == ["59000", "62000"]
    # The other side is no part of what was adopted.
    await until_state(rig, PROTECTED)
    await change(rig, "-1")
    await looks(process)
    await rig.until_flat()
    await until(lambda: working(rig) == [])
    await looks(process, 3)
    assert await listed(rig) == [(*ACCOUNT, PERPETUAL, "-1")]
    assert MARKET not in {one.content.type for one in rig.venue.orders.values()}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"stop_price": ""}, "stop_price"),
        ({"stop_price": "NaN"}, "stop_price"),
        ({"stop_price": "-1"}, "stop_price"),
        ({"stop_price": "60000"}, "stop_price"),
        ({"stop_price": "61000"}, "stop_price"),
        ({"target_price": "59500"}, "target_price"),
        ({"trailing_offset": "0"}, "trailing_offset"),
        ({"account": "other"}, "symbol"),
        ({"symbol": "BTCUSDT"}, "symbol"),
    ],
)
async def test_adoption_that_is_wrong_is_refused_with_its_field(rig, fields, field):
    process = await held(rig, "2")
    with pytest.raises(BadRequest) as caught:
        await process.adoptions.adopt(request(**fields), "lena")
    assert caught.value.metadata["field"] == field
    assert await rig.open_positions() == []
    assert await rig.payloads("position_adopted") == []


async def test_position_is_adopted_once(rig):
    process = await held(rig, "2")
    await process.adoptions.adopt(request(), "lena")
    with pytest.raises(BadRequest, match="not adopted yet"):
        await process.adoptions.adopt(request(), "lena")
    assert len(await rig.open_positions()) == 1


async def test_what_strategies_hold_beside_it_is_not_adopted(rig):
    process = await held(rig, "2")
    await hold(rig, Decimal(-1), PERPETUAL, strategy="ema_cross")
    assert (await process.adoptions.adopt(request(), "lena")).size == "2"
