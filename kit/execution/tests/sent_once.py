"""An account whose desk speaks to the pretended exchange, while answers are lost and it is killed.

What counts is what the exchange has seen: each order once, and in the end all as the account says.
"""

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.account import Account
from kit.execution.context import AccountContext
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.files import FileStore, OneThread
from kit.execution.orders.order import Order
from kit.execution.prices import MarketReference
from kit.execution.settings import OrdersSettings
from kit.execution.tests.simulated_process import KEYS, verified
from kit.execution.tests.trading import Scene
from kit.execution.verifier import Verifier

SETTINGS = OrdersSettings(
    place_timeout_s=2, ask_timeout_s=5, arrival_s=0.2, noes=2, pause_max_s=0.2
)
LIVES, ORDERS = 3, 6
NAME = "demo"
FAULTS = ("answer_lost", "answer_500", "answer_lost", "")


@dataclass
class Survival:
    """One account, over several lives."""

    at: Scene
    folder: Path
    chance: random.Random
    came: Counter[str] = field(default_factory=Counter)
    """How often each order came to the exchange, by client id."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def watch(self, monkeypatch: Any) -> None:
        """Count what comes."""
        place = type(self.at.house).place

        def counted(house: Any, account: str, ticket: Any) -> Any:
            if account == NAME:
                self.came[ticket.client_id] += 1
                self.arrived.set()
            return place(house, account, ticket)

        monkeypatch.setattr(type(self.at.house), "place", counted)

    @asynccontextmanager
    async def life(self, number: int) -> AsyncIterator[Account]:
        """A process, from its start to kill -9: what it writes after that nobody reads."""
        desk, folder = self.at.make_desk("demo-key"), self.folder / str(number)
        thread, venue = OneThread("journal"), self.at.venue.venue_id
        store, clock = FileStore(folder, NAME), SystemClock()
        account = Account(
            AccountContext(venue, NAME, clock, SETTINGS),
            desk,
            AccountJournal(store, thread, clock),
            Verifier(KEYS, live=True),
            MarketReference(lambda symbol: None),
        )
        running = asyncio.create_task(account.run())
        try:
            await until(lambda: account.readiness.is_ready)
            if self.at.socket_path:
                assert isinstance(desk, CcxtExecutionClient)
                assert desk.socket is not None
                await desk.socket.ready.wait()
            yield account
        finally:
            next_folder = self.folder / str(number + 1)
            next_folder.mkdir()
            shutil.copy(folder / f"{NAME}.journal", next_folder)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await account.close()
            thread.close()

    def fail(self) -> None:
        """Perhaps let the next answer be lost, or be an error of the exchange."""
        fault = self.chance.choice(FAULTS)
        if fault:
            self.at.venue.order(fault, path=self.at.socket_path)

    def place(
        self, account: Account, name: str, size: Decimal, price: Decimal
    ) -> "asyncio.Task[Order]":
        """Begin to place an order that rests."""
        content = pb.OrderContent(
            venue=self.at.venue.venue_id,
            account=NAME,
            symbol=self.at.symbol,
            side=types_pb2.SIDE_BUY,
            type=pb.ORDER_TYPE_LIMIT,
            size=f"{size:f}",
            price=f"{price:f}",
        )
        return asyncio.create_task(account.submitter.submit(verified(content, name)))


async def check_sent_once(at: Scene, size: Decimal, folder: Path, monkeypatch: Any) -> None:
    """Killed while the answer to an order is on its way, again and again; in between answers are
    lost. No order comes twice, and the account knows in the end what the exchange knows."""
    survival = Survival(at, folder, random.Random(7))
    survival.watch(monkeypatch)
    bid, _ = await at.best()
    left = []
    for number in range(LIVES):
        async with survival.life(number) as account:
            await until(lambda account=account: not doubted(account))
            for step in range(ORDERS):
                survival.arrived.clear()
                survival.fail()
                name = f"order-{number}-{step}"
                placing = survival.place(account, name, size, bid - (50 + step) * at.tick)
                left.append(placing)
                await survival.arrived.wait()
                if step < ORDERS - 1:
                    entry = await placing
                    if survival.chance.random() < 0.4:
                        survival.fail()
                        await account.submitter.cancel(entry)
            if number == LIVES - 1:
                await placing
                at.venue.clear()
                await until(lambda account=account: not doubted(account))
                check_agreed(at, account, survival.came)
    await asyncio.gather(*left, return_exceptions=True)


def doubted(account: Account) -> list[Order]:
    """Orders whose fate is not known, or that are still to be cancelled."""
    return [
        entry
        for entry in account.state.index.orders.values()
        if not entry.is_final and (entry.state != pb.ORDER_STATE_OPEN or entry.cancel_requested)
    ]


def check_agreed(at: Scene, account: Account, came: Counter[str]) -> None:
    """The journal against the exchange."""
    entries = account.state.index.orders
    assert len(entries) == LIVES * ORDERS
    assert set(came.values()) == {1}, came
    assert len(came) == LIVES * ORDERS
    for entry in entries.values():
        order = at.house.by_client_id(NAME, entry.client_order_id)
        assert order is not None
        assert order.is_final == entry.is_final, (order, entry)
        assert entry.is_final == entry.cancel_requested


async def until(holds: Callable[[], bool]) -> None:
    """Look again until it is so; the test has an end."""
    while not holds():
        await asyncio.sleep(0.02)
