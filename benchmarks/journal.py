"""The time for which journal work holds the event loop, with 20,000 orders that have ended."""

import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from benchmarks.options import Options
from benchmarks.report import Figure, Report
from kit.base.clock import SystemClock
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.journal.records import OrderFill, OrderIntent, OrderUpdate
from kit.execution.orders.order_index import OrderIndex

ORDERS = 20_000
GOAL = "under 20"


def run(options: Options) -> Report:
    """Milliseconds for which no other task runs, and seconds that the work takes."""
    runs = [asyncio.run(_measure()) for _ in range(options.runs)]
    columns = list(zip(*runs, strict=True))
    figures = []
    for name, place in (("load", 0), ("rewrite", 2), ("forget", 4)):
        figures.append(Figure(f"{name}: longest hold", "ms", columns[place], GOAL))
        figures.append(Figure(f"{name}: all", "s", columns[place + 1]))
    return Report(f"journal: {ORDERS:,} orders that have ended, each with a fill", figures)


async def _measure() -> list[float]:
    """Longest hold in ms and time in s: of loading, rewriting and forgetting."""
    clock, thread = SystemClock(), SingleThreadExecutor("journal")
    with tempfile.TemporaryDirectory() as folder:
        file = JournalFile(Path(folder), "main")
        index = OrderIndex()
        for number in range(ORDERS):
            _add(index, number)
        gc.freeze()
        await AccountJournal(file, thread, clock).open(index.records)
        journal, restored = AccountJournal(file, thread, clock), OrderIndex()

        async def load() -> None:
            async for record in journal.load():
                restored.replay(record)

        async def rewrite() -> None:
            await journal.open(restored.records)

        async def forget() -> None:
            for _ in restored.forget(1 << 62, 1 << 61, 0):
                await asyncio.sleep(0)
            if restored.orders:
                raise ValueError(f"{len(restored.orders)} orders are not forgotten")

        found = [*await _held(load), *await _held(rewrite), *await _held(forget)]
        await journal.close()
    thread.close()
    return found


async def _held(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """The longest time without a turn of another task, in ms, and the time of the work in s."""
    longest = 0.0

    async def probe() -> None:
        nonlocal longest
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    probing = asyncio.create_task(probe())
    await asyncio.sleep(0.01)
    longest, started = 0.0, time.perf_counter()
    await work()
    seconds = time.perf_counter() - started
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probing.cancel()
    return longest * 1000, seconds


def _add(index: OrderIndex, number: int) -> None:
    key, one = f"{number:032}", Decimal(1)
    content = orders_pb2.OrderContent(
        venue="fake",
        account="main",
        symbol="BTCUSDT",
        side=types_pb2.SIDE_BUY,
        type=orders_pb2.ORDER_TYPE_LIMIT,
        size="1",
        price="100",
    )
    index.replay(OrderIntent(key, key, b"", content.SerializeToString(), number, number, False))
    price, fees = Decimal(100), (("USDT", Decimal("0.1")),)
    index.replay(
        OrderFill(
            key, "BTCUSDT", key, key, key, types_pb2.SIDE_BUY, price, one, fees, 1, number, number
        )
    )
    index.replay(
        OrderUpdate(
            key=key,
            venue_order_id=key,
            state=orders_pb2.ORDER_STATE_FILLED,
            size=one,
            price=price,
            reported_filled_size=one,
            reported_average_price=price,
            reject_reason=0,
            detail="",
            held_here=False,
            cancel_requested=False,
            venue_time_ns=number,
            updated_time_ns=number,
            best_price=None,
            is_triggered=False,
        )
    )
