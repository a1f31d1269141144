"""``./venuemesh ledger``: balances, statements, profit and the trial balance of the ledger."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from venuemesh.ledger.v1 import equity_pb2, ledger_pb2, ledger_pb2_grpc, postings_pb2

from kit.base.paging import whole_list
from ops import gateway
from ops.arguments import add_verbs
from ops.data_files.time_text import parse_time
from ops.ledger import tables
from ops.ledger.exports import FORMATS, write_groups
from ops.ledger.group_reader import all_groups
from ops.output import print_json
from ops.progress import progress
from ops.tables import console

if TYPE_CHECKING:
    Stub: TypeAlias = ledger_pb2_grpc.LedgerAsyncStub

EXIT_NOT_CORRECT = 1
CALL_SECONDS_MAX = 600
"""A trial balance and a verification read all entries."""
CODES = {
    name.removeprefix("ACCOUNT_CODE_").lower().replace("_", "-"): number
    for name, number in postings_pb2.AccountCode.items()
    if number
}
GROUPINGS = {
    name.removeprefix("PROFIT_GROUPING_").lower(): number
    for name, number in ledger_pb2.ProfitGrouping.items()
    if number
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    balances = gateway.add_verb(
        verbs, "balances", "the balances of accounts, now or at a past time"
    )
    balances.add_argument("--code", choices=CODES, help="default: all")
    balances.add_argument("--asset", default="", help="of one asset only")
    balances.add_argument("--at", metavar="TIME", help="after all that had happened then")
    statement = gateway.add_verb(verbs, "statement", "the entries of one account")
    for name in ("code", "venue", "account", "asset"):
        choices = CODES if name == "code" else None
        statement.add_argument(name, metavar=name.upper(), choices=choices)
    statement.add_argument("--from", dest="start", metavar="TIME", help="from this time on")
    statement.add_argument("--to", dest="end", metavar="TIME", help="before this time")
    profit = gateway.add_verb(verbs, "profit", "realised and unrealised profit, fees and funding")
    profit.add_argument("--by", choices=GROUPINGS, default="account", help="default: account")
    equity = gateway.add_verb(verbs, "equity", "cash and open profit of accounts")
    for made in (balances, profit, equity):
        made.add_argument("--venue", default="", help="of one venue only")
        made.add_argument("--account", default="", help="of one account at a venue only")
    for made in (profit, equity):
        made.add_argument("--in", dest="currency", default="", help="also as a total, in an asset")
    for made in (balances, statement):
        made.add_argument("--symbol", default="", help="of one instrument")
        made.add_argument("--strategy", default="", help="of one strategy")
    gateway.add_verb(verbs, "trial-balance", "the sums of all entries, by asset")
    gateway.add_verb(verbs, "verify", "compute the ledger again from its entries")
    export = gateway.add_verb(verbs, "export", "write all postings to a file")
    export.add_argument("file", metavar="FILE", type=Path)
    export.add_argument("--format", choices=FORMATS, help="default: the ending of the file")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if the ledger does not balance or is not correct."""
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        return await VERBS[chosen.verb](ledger_pb2_grpc.LedgerStub(channel), chosen)


async def _balances(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = ledger_pb2.GetBalancesRequest(
        filter=ledger_pb2.AccountFilter(
            code=CODES.get(chosen.code, postings_pb2.ACCOUNT_CODE_UNSPECIFIED), **_parts(chosen)
        ),
        time_ns=parse_time(chosen.at) if chosen.at else 0,
    )
    answer = await whole_list(stub.GetBalances, request, timeout=CALL_SECONDS_MAX)
    return _show(answer, tables.balances(answer.balances), chosen)


async def _statement(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = ledger_pb2.ListEntriesRequest(
        account=postings_pb2.LedgerAccount(code=CODES[chosen.code], **_parts(chosen)),
        start_time_ns=parse_time(chosen.start) if chosen.start else 0,
        end_time_ns=parse_time(chosen.end) if chosen.end else 0,
    )
    answer = await whole_list(stub.ListEntries, request, timeout=CALL_SECONDS_MAX)
    return _show(answer, tables.entries(answer.entries), chosen)


async def _profit(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = ledger_pb2.GetProfitRequest(
        grouping=GROUPINGS[chosen.by],
        venue=chosen.venue,
        account=chosen.account,
        currency=chosen.currency,
    )
    answer = await stub.GetProfit(request, timeout=CALL_SECONDS_MAX)
    _show(answer, tables.profits(answer.profits), chosen)
    return _show_totals(answer.conversion, chosen)


async def _equity(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = ledger_pb2.GetEquityRequest(
        venue=chosen.venue, account=chosen.account, currency=chosen.currency
    )
    answer = await stub.GetEquity(request, timeout=CALL_SECONDS_MAX)
    _show(answer, tables.equities(answer.equities), chosen)
    return _show_totals(answer.conversion, chosen)


async def _trial_balance(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = ledger_pb2.GetTrialBalanceRequest()
    answer = await stub.GetTrialBalance(request, timeout=CALL_SECONDS_MAX)
    _show(answer, tables.assets(answer.assets), chosen)
    return 0 if answer.balanced else EXIT_NOT_CORRECT


async def _verify(stub: "Stub", chosen: argparse.Namespace) -> int:
    answer = await stub.VerifyLedger(ledger_pb2.VerifyLedgerRequest(), timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        for text in answer.findings:
            print(text)
        verdict = "correct" if answer.correct else "not correct"
        print(f"{answer.groups} groups with {answer.entries} entries: {verdict}")
    return 0 if answer.correct else EXIT_NOT_CORRECT


async def _export(stub: "Stub", chosen: argparse.Namespace) -> int:
    kind = chosen.format or chosen.file.suffix.removeprefix(".")
    with progress(f"export {chosen.file.name}", as_json=chosen.json) as show:
        count = await write_groups(all_groups(stub, show), kind, chosen.file)
    if chosen.json:
        print_json({"file": str(chosen.file), "format": kind, "groups": count})
    else:
        print(f"{chosen.file}: {count} groups")
    return 0


def _parts(chosen: argparse.Namespace) -> dict[str, Any]:
    names = ("venue", "account", "asset", "symbol", "strategy")
    return {name: getattr(chosen, name) for name in names}


def _show_totals(conversion: equity_pb2.Conversion, chosen: argparse.Namespace) -> int:
    """Totals in one currency, and what they were converted at."""
    if conversion.totals and not chosen.json:
        console().print(tables.totals(conversion.totals))
        console().print(tables.rates(conversion.rates))
    return 0


def _show(answer: Any, shown: Any, chosen: argparse.Namespace) -> int:
    if chosen.json:
        print_json(answer)
    else:
        console().print(shown)
    return 0


VERBS: Mapping[str, Callable[["Stub", argparse.Namespace], Awaitable[int]]] = {
    "balances": _balances,
    "statement": _statement,
    "profit": _profit,
    "equity": _equity,
    "trial-balance": _trial_balance,
    "verify": _verify,
    "export": _export,
}
