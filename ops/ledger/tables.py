"""Balances, entries and profit as tables for a terminal."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from venuemesh.ledger.v1 import equity_pb2, ledger_pb2, postings_pb2

from ops.tables import table, time_text, word

ACCOUNT = ("code", "venue", "account", "asset", "symbol", "strategy")
UNKNOWN = "not known"


def balances(found: Iterable[postings_pb2.LedgerBalance]) -> Table:
    rows = ((*_account(one.account), one.balance) for one in found)
    return table((*ACCOUNT, "balance"), rows)


def entries(found: Iterable[postings_pb2.Entry]) -> Table:
    names = ("number", "time", "kind", "amount", "balance", "against", "group", "detail")
    return table(names, map(_entry, found))


def assets(found: Iterable[postings_pb2.AssetTotals]) -> Table:
    names = ("asset", "debits", "credits", "accounts", "entries")
    rows = (
        (one.asset, one.debits, one.credits, str(one.accounts), str(one.entries)) for one in found
    )
    return table(names, rows)


def profits(found: Iterable[ledger_pb2.Profit]) -> Table:
    place = ("venue", "account", "strategy", "symbol", "asset")
    names = (*place, "realised", "fees", "funding", "unrealised")
    rows = (
        (
            *(getattr(one, name) for name in place),
            *(one.realized, one.fees, one.funding, one.unrealized or UNKNOWN),
        )
        for one in found
    )
    return table(names, rows)


def equities(found: Iterable[ledger_pb2.Equity]) -> Table:
    names = ("venue", "account", "asset", "cash", "unrealised", "equity")
    rows = (
        (
            *(one.venue, one.account, one.asset, one.cash),
            *(one.unrealized or UNKNOWN, one.equity or UNKNOWN),
        )
        for one in found
    )
    return table(names, rows)


def totals(found: Iterable[equity_pb2.ConvertedTotal]) -> Table:
    place = ("venue", "account", "strategy", "symbol")
    rows = (
        (
            *(getattr(one, name) for name in place),
            *(one.amount or UNKNOWN, one.currency),
            ", ".join(map(_left_out, one.not_included)),
        )
        for one in found
    )
    return table((*place, "total", "in", "not included"), rows)


def rates(found: Iterable[equity_pb2.ConversionRate]) -> Table:
    rows = (
        (
            one.asset,
            *(price.venue, price.symbol, f"1 / {price.price}" if price.inverted else price.price),
            time_text(price.time_ns),
        )
        for one in found
        for price in one.prices
    )
    return table(("asset", "venue", "market", "price", "of"), rows)


def _left_out(one: equity_pb2.NotIncluded) -> str:
    return f"{one.amount} {one.asset}" if one.amount else f"open profit in {one.asset}"


def code_word(code: "postings_pb2.AccountCode.ValueType") -> str:
    return word(postings_pb2.AccountCode.Name(code), "ACCOUNT_CODE_")


def _account(account: postings_pb2.LedgerAccount) -> Sequence[str]:
    return (
        code_word(account.code),
        *(account.venue, account.account, account.asset, account.symbol, account.strategy),
    )


def _entry(entry: postings_pb2.Entry) -> Sequence[str]:
    other = entry.other
    against = " ".join(filter(None, (code_word(other.code), other.symbol, other.strategy)))
    return (
        str(entry.number),
        time_text(entry.time_ns),
        word(postings_pb2.PostingKind.Name(entry.kind), "POSTING_KIND_"),
        entry.amount,
        entry.balance,
        against,
        entry.group_id,
        entry.detail,
    )
