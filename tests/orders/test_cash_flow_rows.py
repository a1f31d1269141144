"""What the rows of each venue's lists become: the examples of its documentation, and a kind that is
not known."""

from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.accounting.amounts import plain
from kit.execution.cash_flows import VenueCashFlow
from venues.binance import cash_flows as binance
from venues.bybit import cash_flows as bybit
from venues.coinbase import cash_flows as coinbase
from venues.deribit import cash_flows as deribit
from venues.kraken import cash_flows as kraken
from venues.okx import cash_flows as okx

INCOME = {
    "symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-0.37500000", "asset": "USDT",
    "info": "FUNDING_FEE", "time": 1570608000000, "tranId": 9689322392, "tradeId": "",
}  # fmt: skip
DEPOSIT = {
    "id": "769800519366885376", "amount": "0.001", "coin": "BNB", "status": 1, "txId": "98A3",
    "insertTime": 1661493146000,
}  # fmt: skip
WITHDRAWAL = {
    "id": "b6ae22b3", "amount": "8.91000000", "transactionFee": "0.004", "coin": "USDT",
    "status": 6, "applyTime": "2019-10-12 11:12:02", "txId": "0xb5",
}  # fmt: skip
TRANSFER = {
    "asset": "USDT", "amount": "1", "type": "MAIN_UMFUTURE", "status": "CONFIRMED",
    "tranId": 11415955596, "timestamp": 1544433328000,
}  # fmt: skip
DIVIDEND = {
    "id": 1637366104, "amount": "10.00000000", "asset": "BHFT", "divTime": 1563189166000,
    "enInfo": "BHFT distribution", "tranId": 2968885920, "direction": 1,
}  # fmt: skip
BILL = {
    "billId": "623950854533513219", "type": "8", "subType": "173", "instId": "BTC-USDT-SWAP",
    "instType": "SWAP", "ccy": "USDT", "balChg": "-664.2679586599999802", "ts": "1620275771196",
    "notes": "", "tradeId": "",
}  # fmt: skip
LOG = {
    "id": "592324_XRPUSDT_161440249321", "symbol": "XRPUSDT", "category": "linear",
    "transactionTime": "1672128000000", "type": "SETTLEMENT", "currency": "USDT",
    "funding": "-0.003676", "fee": "0", "cashFlow": "0.5", "change": "0.496324",
}  # fmt: skip
TRANSACTION = {
    "id": "34e4816b", "type": "send", "status": "completed", "description": None,
    "created_at": "2019-02-28T12:35:20Z", "amount": {"amount": "-28.31976528", "currency": "BCH"},
}  # fmt: skip
SETTLEMENT = {
    "id": 61312, "type": "settlement", "timestamp": 1613657734620, "currency": "BTC",
    "instrument_name": "BTC-PERPETUAL", "change": "-0.00123", "interest_pl": "1e-07",
}  # fmt: skip
ENTRY = {
    "refid": "A2B4HBV-L4MDIE-JU4N3N", "time": "1520103488.314", "type": "withdrawal",
    "subtype": "", "aclass": "currency", "asset": "XETH", "amount": "-0.2805800000",
    "fee": "0.0050000000", "balance": "0.0000051000",
}  # fmt: skip
NAMES = SimpleNamespace(assets={"XETH": "ETH"})


def entry(**changes: str) -> Iterable[VenueCashFlow]:
    return kraken.entry_of("LPUAIB-TS774-UKHP7X", ENTRY | changes, NAMES)  # type: ignore[arg-type]


CASES = {
    "binance income": ([binance.income_of(INCOME)], ["FUNDING BTCUSDT USDT -0.375"]),
    "binance new income": (
        [binance.income_of(INCOME | {"incomeType": "NEW_BONUS"})],
        ["OTHER BTCUSDT USDT -0.375"],
    ),
    "binance insurance": (
        [binance.income_of(INCOME | {"incomeType": "INSURANCE_CLEAR"})],
        ["LIQUIDATION BTCUSDT USDT -0.375"],
    ),
    "binance deposit": ([binance.deposit_of(DEPOSIT)], ["TRANSFER  BNB 0.001"]),
    "binance withdrawal": (
        binance.withdrawal_of(WITHDRAWAL),
        ["TRANSFER  USDT -8.91", "FEE  USDT -0.004"],
    ),
    "binance transfer out": ([binance.transfer_of(TRANSFER)], ["TRANSFER  USDT -1"]),
    "binance transfer in": (
        [binance.transfer_of(TRANSFER | {"type": "UMFUTURE_MAIN"})],
        ["TRANSFER  USDT 1"],
    ),
    "binance dividend": ([binance.dividend_of(DIVIDEND)], ["OTHER  BHFT 10"]),
    "okx funding": ([okx.bill_of(BILL)], ["FUNDING BTC-USDT-SWAP USDT -664.2679586599999802"]),
    "okx new bill": (
        [okx.bill_of(BILL | {"type": "999"})],
        ["OTHER BTC-USDT-SWAP USDT -664.2679586599999802"],
    ),
    "bybit settlement": (
        bybit.log_of(LOG),
        ["FUNDING XRPUSDT USDT -0.003676", "SETTLEMENT XRPUSDT USDT 0.5"],
    ),
    "bybit trade on spot": (bybit.log_of(LOG | {"type": "TRADE", "category": "spot"}), []),
    "bybit trade of another product": (
        bybit.log_of(LOG | {"type": "TRADE", "funding": ""}),
        ["OTHER XRPUSDT USDT 0.496324"],
    ),
    "coinbase send": ([coinbase.transaction_of(TRANSACTION)], ["TRANSFER  BCH -28.31976528"]),
    "coinbase new type": (
        [coinbase.transaction_of(TRANSACTION | {"type": "new"})],
        ["OTHER  BCH -28.31976528"],
    ),
    "deribit settlement": (
        deribit.log_of(SETTLEMENT),
        ["FUNDING BTC-PERPETUAL BTC 0.0000001", "SETTLEMENT BTC-PERPETUAL BTC -0.0012301"],
    ),
    "deribit trade": (deribit.log_of(SETTLEMENT | {"type": "trade"}), []),
    "deribit new type": (
        deribit.log_of(SETTLEMENT | {"type": "new", "interest_pl": None}),
        ["OTHER BTC-PERPETUAL BTC -0.00123"],
    ),
    "kraken withdrawal": (entry(), ["TRANSFER  ETH -0.28058", "FEE  ETH -0.005"]),
    "kraken trade": (entry(type="trade"), []),
    "kraken new type": (entry(type="new", fee="0"), ["OTHER  ETH -0.28058"]),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_become_cash_flows(name: str) -> None:
    found, expected = CASES[name]
    flows = list(found)
    prefix = "CASH_FLOW_KIND_"
    texts = [
        " ".join(
            (
                cash_flows_pb2.CashFlowKind.Name(one.kind).removeprefix(prefix),
                one.symbol,
                one.asset,
                plain(one.amount),
            )
        )
        for one in flows
    ]
    assert texts == expected
    assert all(one.detail and one.cash_flow_id and one.venue_time_ns > 10**18 for one in flows)
    assert len({(one.kind, one.cash_flow_id) for one in flows}) == len(flows)
