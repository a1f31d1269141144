"""An account over an execution client at the simulated exchange, while answers are lost and its
process is killed: the exchange gets each order once, and the account knows its outcome."""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.account import Account
from kit.execution.context import AccountContext
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.orders.order import Order
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.settings import OrdersSettings
from kit.execution.tests.client_session import ClientSession
from kit.execution.tests.simulated_process import verified, verifier

SETTINGS = OrdersSettings(
    place_timeout_s=2, ask_timeout_s=5, arrival_s=0.2, noes=2, pause_max_s=0.2
)
RUNS, ORDERS = 3, 6
ACCOUNT = "demo"
FAULTS = ("answer_lost", "answer_500", "answer_lost", "")


@dataclass
class RestartedAccount:
    """One account, over several runs of its process."""

    session: ClientSession
    chance: random.Random
    folder: Path
    received: Counter[str] = field(default_factory=Counter)
    """How many times the exchange got each order, by client id."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def count_orders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Count the orders that the exchange gets."""
        engine = type(self.session.engine)
        place = engine.place

        def counted(engine: Any, account: str, ticket: Any) -> Any:
            if account == ACCOUNT:
                self.received[ticket.client_order_id] += 1
                self.arrived.set()
            return place(engine, account, ticket)

        monkeypatch.setattr(engine, "place", counted)

    @asynccontextmanager
    async def run(self, number: int) -> AsyncIterator[Account]:
        """Run a process until it is killed: the next one gets the journal as it is then."""
        client, folder = self.session.make_client("demo-key"), self.folder / str(number)
        thread, clock = SingleThreadExecutor("journal"), SystemClock()
        account = Account(
            AccountContext(self.session.exchange.venue_id, ACCOUNT, clock, SETTINGS),
            client,
            AccountJournal(JournalFile(folder, ACCOUNT), thread, clock),
            verifier(self.session.exchange.venue_id, ACCOUNT),
            ReferenceMarketData(lambda symbol: None),
        )
        running = asyncio.create_task(account.run())
        try:
            await until(lambda: account.readiness.is_ready)
            if self.session.subject.socket_path:
                assert isinstance(client, CcxtExecutionClient)
                assert client.socket is not None
                await client.socket.ready.wait()
            yield account
        finally:
            next_folder = self.folder / str(number + 1)
            next_folder.mkdir()
            shutil.copy(folder / f"{ACCOUNT}.journal", next_folder)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await account.close()
            thread.close()

    def inject_fault(self) -> None:
        """Lose the next answer, make it an error of the exchange, or do nothing."""
        fault = self.chance.choice(FAULTS)
        if fault:
            self.session.exchange.order(fault, path=self.session.subject.socket_path)

    def submit(self, account: Account, name: str, price: Decimal) -> "asyncio.Task[Order]":
        """Start to submit an order that rests."""
        content = pb.OrderContent(
            venue=self.session.exchange.venue_id,
            account=ACCOUNT,
            symbol=self.session.symbol,
            side=types_pb2.SIDE_BUY,
            type=pb.ORDER_TYPE_LIMIT,
            size=f"{self.session.size:f}",
            price=f"{price:f}",
        )
        return asyncio.create_task(account.submitter.submit(verified(content, name)))


async def check_orders_are_sent_once(session: ClientSession) -> None:
    """A process that is killed while an answer is on its way, several times, with lost answers in
    between, sends no order twice and knows in the end what the exchange knows."""
    with pytest.MonkeyPatch.context() as monkeypatch, tempfile.TemporaryDirectory() as folder:
        restarted = RestartedAccount(session, random.Random(7), Path(folder))
        restarted.count_orders(monkeypatch)
        bid, _ = await session.best()
        tasks = []
        for number in range(RUNS):
            async with restarted.run(number) as account:
                await until(lambda account=account: not _unsettled(account))
                for step in range(ORDERS):
                    restarted.arrived.clear()
                    restarted.inject_fault()
                    name, price = f"order-{number}-{step}", bid - (50 + step) * session.tick
                    submitting = restarted.submit(account, name, price)
                    tasks.append(submitting)
                    await restarted.arrived.wait()
                    if step < ORDERS - 1:
                        order = await submitting
                        if restarted.chance.random() < 0.4:
                            restarted.inject_fault()
                            await account.submitter.cancel(order)
                if number == RUNS - 1:
                    await submitting
                    session.exchange.clear()
                    await until(lambda account=account: not _unsettled(account))
                    _check_agreement(session, account, restarted.received)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await session.client.open_orders()


def _unsettled(account: Account) -> list[Order]:
    """Orders that are in doubt, or are still to be cancelled."""
    return [
        order
        for order in account.state.index.orders.values()
        if not order.is_final and (order.state != pb.ORDER_STATE_OPEN or order.cancel_requested)
    ]


def _check_agreement(session: ClientSession, account: Account, received: Counter[str]) -> None:
    """Compare the account with the exchange."""
    orders = account.state.index.orders
    assert len(orders) == RUNS * ORDERS
    assert set(received.values()) == {1}, received
    assert len(received) == RUNS * ORDERS
    for order in orders.values():
        actual = session.engine.by_client_id(ACCOUNT, order.client_order_id)
        assert actual is not None
        assert actual.is_final == order.is_final, (actual, order)
        assert order.is_final == order.cancel_requested


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition; the session has a time limit."""
    while not holds():
        await asyncio.sleep(0.02)
