"""Verdicts: the function alone, over gRPC with its transaction, and from the stream of decisions.

In process: an entry is compared with every limit of ``docs/policy.example.toml``, with twenty
positions in the books. Over gRPC: SubmitManual of one caller after the other, each request with a
transaction that is synced to disk; its verdict is BLOCK, so that no venue is waited for. From the
stream: decisions that wait are read, decided and committed together.
"""

import asyncio
import importlib
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2

from benchmarks.database import empty_database
from benchmarks.options import ROOT, Options
from benchmarks.report import Figure, Report
from core.inspector.verdicts import ProposedEntry, RiskState, verdict_on_entry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk.facts import (
    Balance,
    DayProfit,
    Exposure,
    Holding,
    Losses,
    RecentEntries,
    ReferencePrice,
    RiskFacts,
)
from kit.risk.policy import Policy
from kit.risk.policy_file import read_policy

EXAMPLE = ROOT / "docs" / "policy.example.toml"
IN_PROCESS, OVER_GRPC, FROM_STREAM = 2_000, 300, 1_000
POSITIONS = 20
NOW_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
BTCUSDT = types_pb2.Instrument(
    venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT",
    kind=types_pb2.INSTRUMENT_KIND_SPOT, size_step="0.00001", size_min="0.0001",
)  # fmt: skip


def run(options: Options) -> Report:
    """Percentiles in ms, and verdicts per second."""
    alone = [_in_process() for _ in range(options.runs)]
    runs = [asyncio.run(_with_database()) for _ in range(options.runs)]
    grpc_times, rates = [one[0] for one in runs], [one[1] for one in runs]
    figures = [
        *_percentiles("in process", alone, {50: "", 99: "under 1"}),
        Figure("in process", "1/s", [len(one) / sum(one) * 1_000 for one in alone], "2,000"),
        *_percentiles("over gRPC, on disk", grpc_times, {50: "", 99: "under 5"}),
        Figure("from the stream, on disk", "1/s", rates, "2,000"),
    ]
    notes = [f"the policy of {EXAMPLE.name}, {POSITIONS} positions; fsync is on"]
    return Report("verdicts", figures, notes)


def _percentiles(
    name: str, runs: Sequence[Sequence[float]], targets: dict[int, str]
) -> list[Figure]:
    return [
        Figure(
            f"{name}, p{number}", "ms", [float(np.percentile(one, number)) for one in runs], target
        )
        for number, target in targets.items()
    ]


def _policy() -> Policy:
    return read_policy(EXAMPLE.read_text(), is_complete=True)


def _in_process() -> list[float]:
    """The time of each verdict in ms; all limits of the example are compared."""
    policy, state = _policy(), _state()
    entry = ProposedEntry(
        *("binance", "main", "BTCUSDT", "0.01", "60000", "59000", NOW_NS + 1),
        strategy="ema_cross",
    )
    found = []
    for _ in range(IN_PROCESS):
        started = time.perf_counter()
        verdict = verdict_on_entry(policy, state, entry)
        found.append((time.perf_counter() - started) * 1_000)
    assert len(verdict.checks) > len(policy.limits)
    return found


def _state() -> RiskState:
    """All facts that a limit needs."""
    price = Decimal(60_000)
    place: dict[str, Any] = {"venue": "binance", "account": "main", "strategy": "ema_cross"}
    symbols = [f"COIN{number}" for number in range(POSITIONS)]
    facts = RiskFacts(
        exposures=tuple(
            Exposure(**place, symbol=one, asset="USDT", held=Decimal(100)) for one in symbols
        ),
        holdings=tuple(
            Holding(
                **place, symbol=one, base=one, quote="USDT", settle="USDT", multiplier=Decimal(1),
                size=Decimal("0.01"), cost=Decimal(590), mark=price,
            )
            for one in symbols
        ),
        balances=(Balance(venue="binance", account="main", asset="USDT", amount=Decimal(50_000)),),
        booked=(DayProfit(**place, asset="USDT", profit=Decimal(100)),),
        results=(DayProfit(**place, asset="USDT", profit=Decimal(-10)),),
        recent=(RecentEntries(**place, count=1),),
        today=(RecentEntries(**place, count=9),),
        marks={"mesh": Decimal(500)},
        orders=(),
        losses=Losses(in_row=0),
        reference=ReferencePrice(bid=price, ask=price, time_ns=NOW_NS, book_state="proven"),
    )  # fmt: skip
    return RiskState(NOW_NS, {"mesh": risk_pb2.TRADING_MODE_ACTIVE}, BTCUSDT, 0, 1, facts)


async def _with_database() -> tuple[list[float], float]:
    """Milliseconds of each call, and verdicts per second from the stream."""
    rig = importlib.import_module("core.inspector.tests.timed_verdicts")
    async with empty_database() as url:
        times, rate = await rig.measure(url, _policy(), OVER_GRPC, FROM_STREAM, time.perf_counter)
        return times, rate
