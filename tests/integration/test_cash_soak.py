"""What ``./venuemesh soak cash`` compares, and what it lets go wrong."""

from decimal import Decimal
from pathlib import Path

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.ledger.v1 import ledger_pb2, postings_pb2

from benchmarks.soaks import cash, cash_balances, random_orders
from benchmarks.soaks.cash_balances import AccountAsset
from benchmarks.soaks.simulated_exchanges import FAULTS, RandomFaults
from kit.risk.policy import OPEN_POLICY
from kit.risk.policy_file import read_policy
from kit.simulator.account_states import AccountState, FillState
from kit.simulator.faults import FaultInjector

FILL = FillState(
    symbol="BTCUSDT",
    trade_id=7,
    is_buy=True,
    price=Decimal(60_000),
    size=Decimal("0.001"),
    fee=Decimal("0.000001"),
    fee_asset="BTC",
    profit=Decimal(0),
    time_ns=5,
)
STATE = AccountState(
    venue="binance",
    account="demo",
    balances={"BTC": Decimal("1.000999"), "USDT": Decimal("1E+2"), "ETH": Decimal(0)},
    positions={"BTC-PERP": Decimal(-3)},
    open_orders=0,
    newest_fills=[FILL],
)
CASH, POSITION = postings_pb2.ACCOUNT_CODE_CASH, postings_pb2.ACCOUNT_CODE_POSITION
BTC = AccountAsset("binance", "demo", "BTC")


class FakeLedger:
    """Has these balances."""

    def __init__(self, *balances: tuple[dict[str, object], str]) -> None:
        self._answer = ledger_pb2.GetBalancesResponse()
        for fields, balance in balances:
            account = {"venue": "binance", "account": "demo", **fields}
            self._answer.balances.add(
                account=postings_pb2.LedgerAccount(**account), balance=balance
            )

    async def GetBalances(
        self, request: ledger_pb2.GetBalancesRequest
    ) -> ledger_pb2.GetBalancesResponse:
        return self._answer


def contracts(strategy: str) -> dict[str, object]:
    asset = "contract/binance/BTC-PERP"
    return {"code": POSITION, "asset": asset, "symbol": "BTC-PERP", "strategy": strategy}


async def differences(ledger: FakeLedger) -> list[cash_balances.Difference]:
    found = await cash_balances.of_ledger(ledger, [("binance", "demo")])
    return cash_balances.differences(found, cash_balances.of_exchanges([STATE]))


EQUAL = (
    ({"code": CASH, "asset": "USDT"}, "100"),
    (contracts("s1"), "-5"),
    (contracts(""), "2"),
    # Neither is cash: what a position has cost, and the cash of another account.
    ({"code": POSITION, "asset": "USDT", "symbol": "BTCUSDT"}, "77"),
    ({"code": CASH, "asset": "USDT", "account": "paper"}, "5"),
)


async def test_equal_balances_do_not_differ() -> None:
    assert await differences(FakeLedger(({"code": CASH, "asset": "BTC"}, "1.000999"), *EQUAL)) == []


async def test_the_last_digit_differs_and_is_named_with_the_fills_before_it() -> None:
    ledger = FakeLedger(({"code": CASH, "asset": "BTC"}, "1.000999000000000001"), *EQUAL)
    (found,) = await differences(ledger)
    assert found.key == BTC
    text = "ledger 1.000999000000000001, exchange 1.000999, difference 0.000000000000000001"
    assert str(found) == f"binance/demo/BTC: {text}"
    (fill,) = cash_balances.newest_fills(found, [STATE])
    assert "BTCUSDT 7: buy 0.001 at 60000, fee 0.000001 BTC" in fill


async def test_what_the_ledger_does_not_have_differs() -> None:
    found = await differences(FakeLedger(*EQUAL[:1]))
    assert [one.key.symbol or one.key.asset for one in found] == ["BTC", "BTC-PERP"]


def test_faults_are_those_that_an_exchange_has() -> None:
    faults = RandomFaults(["binance"], 1)
    known = FaultInjector("binance", 1).known
    commands = [faults.next() for _ in range(500)]
    own = {one.fault for one in commands} - {"server_shutdown", "calm"}
    assert own <= set(known)
    assert len(faults.counts) == len(FAULTS)
    assert all(one.count for one in commands)


def test_a_venue_that_allows_few_calls_is_asked_less_often() -> None:
    plan = cash.Plan(pause_seconds=1.0)
    assert cash._pause_seconds(plan, "okx") == 1.0
    assert cash._pause_seconds(plan, "kraken") > 4.0


SPOT = types_pb2.Instrument(
    kind=types_pb2.INSTRUMENT_KIND_SPOT,
    size_unit=types_pb2.SIZE_UNIT_BASE,
    size_step="0.01",
    price_tick="0.05",
)


@pytest.mark.parametrize(
    ("size_min", "notional_min", "expected"),
    [("", "", "0.02"), ("0.5", "", "1.0"), ("0.5", "10", "1.0"), ("", "10", "0.22")],
)
def test_a_size_is_a_multiple_of_the_smallest_that_the_venue_takes(
    size_min: str, notional_min: str, expected: str
) -> None:
    instrument = types_pb2.Instrument(size_min=size_min, notional_min=notional_min)
    instrument.MergeFrom(SPOT)
    size = random_orders._size(instrument, Decimal(100), 2)
    assert size == Decimal(expected)
    assert size % Decimal(SPOT.size_step) == 0


def test_a_price_is_rounded_to_a_tick_on_the_side_that_is_asked_for() -> None:
    assert random_orders._price(SPOT, Decimal("100.01"), rounds_up=True) == "100.05"
    assert random_orders._price(SPOT, Decimal("100.04"), rounds_up=False) == "100"


def test_no_asset_is_missing_in_the_policy_of_the_soak() -> None:
    text = Path(cash.__file__).with_name("limits.toml").read_text()
    found = read_policy(text, is_complete=False)
    assert found.order_notional_max.keys() == OPEN_POLICY.order_notional_max.keys()
