"""What a size of 1 is, at all venues: in the unit that the venue's own fields state.

The rows are what the simulated exchanges list, rows of captures, and rows of the venues'
documentation for contracts that the simulated exchanges do not have.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from venuemesh.common.v1 import types_pb2

from kit.accounting import instruments
from kit.accounting.contract import ContractAssets, ContractKind
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment
from tests.support.simulated_exchange import simulated_exchange
from venues.binance.instruments import instrument as binance_instrument
from venues.ccxt.instruments import TICK_SIZE
from venues.ccxt.instruments import instrument as ccxt_instrument
from venues.deribit.instruments import instrument as deribit_instrument
from venues.okx.instruments import instrument as okx_instrument

SPOT, LINEAR = types_pb2.CONTRACT_KIND_UNSPECIFIED, types_pb2.CONTRACT_KIND_LINEAR
INVERSE, QUANTO = types_pb2.CONTRACT_KIND_INVERSE, types_pb2.CONTRACT_KIND_QUANTO
BASE, QUOTE = types_pb2.SIZE_UNIT_BASE, types_pb2.SIZE_UNIT_QUOTE
CONTRACTS = types_pb2.SIZE_UNIT_CONTRACTS
UNKNOWN = types_pb2.SIZE_UNIT_UNSPECIFIED

Row = Mapping[str, Any]


class Terms(NamedTuple):
    """What an instrument states, and what one unit of size is worth at a price of 50,000."""

    unit: "types_pb2.SizeUnit.ValueType"
    kind: "types_pb2.ContractKind.ValueType"
    settlement: str
    text: str
    notional: str | None


def terms_of(found: types_pb2.Instrument) -> Terms:
    notional = instruments.notional(found, Decimal(1), Decimal(50_000))
    return Terms(
        found.size_unit,
        found.contract_kind,
        found.settlement_asset,
        instruments.size_unit(found),
        None if notional is None else f"{notional.normalize():f}",
    )


SIMULATED = {
    "binance": ("BTCUSDT", Terms(BASE, SPOT, "", "BTC", "50000")),
    "binance_futures": ("BTCUSDT", Terms(BASE, LINEAR, "USDT", "BTC", "50000")),
    "bybit": ("BTCUSDT", Terms(BASE, SPOT, "", "BTC", "50000")),
    "coinbase": ("BTC-USD", Terms(BASE, SPOT, "", "BTC", "50000")),
    "deribit": ("BTC-PERPETUAL", Terms(QUOTE, INVERSE, "BTC", "USD", "1")),
    "kraken": ("BTC/USDT", Terms(BASE, SPOT, "", "BTC", "50000")),
    "okx": ("BTC-USDT", Terms(BASE, SPOT, "", "BTC", "50000")),
    "okx_futures": (
        "BTC-USDT-SWAP",
        Terms(CONTRACTS, LINEAR, "USDT", "contracts of 0.01 BTC", "500"),
    ),
}


@pytest.mark.parametrize("venue_id", sorted(discovery.venues()))
async def test_every_venue_states_the_unit_of_its_sizes(venue_id: str) -> None:
    symbol, expected = SIMULATED[venue_id]
    async with simulated_exchange("simulate", venue_id, events_per_second=10) as base:
        venue = discovery.require(venue_id)(Environment("simulate", base.rpartition("/")[0]))
        listed = {one.symbol: one for one in await venue.history.instruments()}
        await venue.history.close()
    assert terms_of(listed[symbol]) == expected
    assert all(one.size_unit for one in listed.values())
    assert all(instruments.multiplier(one) for one in listed.values())


def okx_swap(symbol: str, **more: str) -> types_pb2.Instrument:
    base, quote, _ = symbol.split("-")
    row = {"instType": "SWAP", "instId": symbol, "ctMult": "1", "state": "live", **more}
    return okx_instrument("okx_futures", {"symbol": "", "base": base, "quote": quote, "info": row})


def deribit(symbol: str, kind: str, base: str, **more: str) -> types_pb2.Instrument:
    row = {"instrument_name": symbol, "kind": kind, "base_currency": base, **more}
    quote = more["counter_currency"]
    return deribit_instrument("deribit", {"symbol": "", "base": base, "quote": quote, "info": row})


def deribit_usd(symbol: str, kind: str, quote: str = "USD") -> types_pb2.Instrument:
    return deribit(
        symbol,
        kind,
        "BTC",
        quote_currency=quote,
        counter_currency="USD",
        settlement_currency="BTC",
        settlement_period="month",
        contract_size="10" if kind == "future" else "1",
    )


def ccxt_swap(flag: str, size: float, settle: str, **more: object) -> types_pb2.Instrument:
    market = {
        "symbol": "BTC/USD",
        "type": "swap",
        "base": "BTC",
        "quote": "USD",
        "settle": settle,
        "contractSize": size,
        "precision": {},
        "limits": {},
        "linear": False,
        "inverse": False,
        flag: True,
        **more,
    }
    return ccxt_instrument("ccxt_exchange", market, TICK_SIZE)


DOCUMENTED: Mapping[str, tuple[Callable[[], types_pb2.Instrument], Terms]] = {
    "inverse swap of OKX": (
        lambda: okx_swap(
            "BTC-USD-SWAP", ctVal="100", ctValCcy="USD", ctType="inverse", settleCcy="BTC"
        ),
        Terms(CONTRACTS, INVERSE, "BTC", "contracts of 100 USD", "100"),
    ),
    "swap of OKX with a multiplier": (
        lambda: okx_swap(
            "BTC-USDT-SWAP",
            ctVal="0.1",
            ctMult="10",
            ctValCcy="BTC",
            ctType="linear",
            settleCcy="USDT",
        ),
        Terms(CONTRACTS, LINEAR, "USDT", "contracts of 1 BTC", "50000"),
    ),
    "swap of OKX before it opens": (
        lambda: okx_swap("NEW-USDT-SWAP"),
        Terms(CONTRACTS, SPOT, "", "contracts", None),
    ),
    "inverse future of Deribit": (
        lambda: deribit_usd("BTC-27MAY22", "future"),
        Terms(QUOTE, INVERSE, "BTC", "USD", "1"),
    ),
    "option of Deribit with a price in its base": (
        lambda: deribit_usd("BTC-24JUN22-52000-P", "option", "BTC"),
        Terms(BASE, LINEAR, "BTC", "BTC", "50000"),
    ),
    "combo of Deribit": (
        lambda: deribit_usd("BTC-FS-27MAY22_PERP", "future_combo"),
        Terms(UNKNOWN, SPOT, "BTC", "", None),
    ),
    "spot of Deribit": (
        lambda: deribit("BTC_USDC", "spot", "BTC", quote_currency="USDC", counter_currency="USDC"),
        Terms(BASE, SPOT, "", "BTC", "50000"),
    ),
    "linear swap of ccxt": (
        lambda: ccxt_swap("linear", 0.001, "USD"),
        Terms(CONTRACTS, LINEAR, "USD", "contracts of 0.001 BTC", "50"),
    ),
    "linear swap of ccxt in base units": (
        lambda: ccxt_swap("linear", 1.0, "USD"),
        Terms(BASE, LINEAR, "USD", "BTC", "50000"),
    ),
    "inverse swap of ccxt": (
        lambda: ccxt_swap("inverse", 100, "BTC"),
        Terms(CONTRACTS, INVERSE, "BTC", "contracts of 100 USD", "100"),
    ),
    "quanto swap of ccxt": (
        lambda: ccxt_swap("quanto", 0.000001, "XBT"),
        Terms(CONTRACTS, QUANTO, "XBT", "contracts", None),
    ),
    "option of ccxt that it calls inverse": (
        lambda: ccxt_swap("inverse", 1, "BTC", type="option"),
        Terms(UNKNOWN, SPOT, "BTC", "", None),
    ),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_rows_state_the_unit_of_sizes(name: str) -> None:
    make, expected = DOCUMENTED[name]
    assert terms_of(make()) == expected


def captured(captures: Path, file: str) -> Iterator[Row]:
    answer = json.loads((captures / file).read_text())
    yield from answer.get("result") or answer["symbols"]


def test_captured_rows_of_deribit(captures: Path) -> None:
    folder = "deribit/options_4_2021/rest/api_v2_public_get_instruments_currency"
    for row in captured(captures, f"{folder}_SOL_expired_false.json"):
        market = {"symbol": "", "base": "SOL", "quote": row["counter_currency"], "info": row}
        found = deribit_instrument("deribit", market)
        if row["kind"] == "option":
            assert (found.quote, terms_of(found)[:4]) == ("SOL", (BASE, LINEAR, "SOL", "SOL"))
    perpetuals = list(captured(captures, f"{folder}_USDC_expired_false.json"))
    assert perpetuals
    for row in perpetuals:
        base = row["base_currency"]
        market = {"symbol": "", "base": base, "quote": row["counter_currency"], "info": row}
        found = deribit_instrument("deribit", market)
        assert terms_of(found)[:4] == (BASE, LINEAR, "USDC", base)


def test_captured_rows_of_binance_futures(captures: Path) -> None:
    file = "binance_futures/sushi_akro_2021/rest/fapi_v1_exchangeInfo.json"
    rows = list(captured(captures, file))
    assert rows
    for row in rows:
        base, quote = row["baseAsset"], row["quoteAsset"]
        market = {"symbol": "", "type": "swap", "base": base, "quote": quote, "info": row}
        found = binance_instrument("binance_futures", market)
        assert terms_of(found)[:4] == (BASE, LINEAR, quote, base)


@pytest.mark.parametrize(
    ("assets", "kind"),
    [
        (("BTC", "USD", ""), ContractKind.SPOT),
        (("BTC", "USDT", "USDT"), ContractKind.LINEAR),
        (("BTC", "USD", "BTC"), ContractKind.INVERSE),
        (("ETH", "USD", "BTC"), ContractKind.QUANTO),
        (("BTC", "BTC", "BTC"), ContractKind.LINEAR),
    ],
)
def test_contract_kinds_follow_from_the_assets(
    assets: tuple[str, str, str], kind: ContractKind
) -> None:
    assert ContractAssets(*assets).kind is kind
