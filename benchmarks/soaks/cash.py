"""``./venuemesh soak cash``: the ledger's cash beside the balances at the simulated exchanges.

A mesh runs in the world simulate. A client places, amends and cancels random orders at every venue
through the gateway, while faults happen at the exchanges all the time, and one process after the
other is killed with kill -9 in random order. Funding is paid every few minutes. At the end the
trading stops, and what the ledger has booked as cash of each account must be what the exchange
has, asset by asset and to the last digit, and stay so; the positions in derivatives too. The trial
balance must be zero, and the ledger must find nothing wrong in its books. Venue, ledger and
inspector must agree on every account, and no entry may have been allowed beyond a limit.
"""

import argparse
import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import msgspec
from rich.console import Console
from rich.table import Table
from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc, postings_pb2

from benchmarks.soaks import cash_balances
from benchmarks.soaks.cash_balances import Difference
from benchmarks.soaks.ledger import data_folder
from benchmarks.soaks.operator import Operator
from benchmarks.soaks.random_orders import ACCOUNT, RandomOrders
from benchmarks.soaks.risk_findings import RiskFindings, UnprotectedTimes, findings, lines, listed
from benchmarks.soaks.simulated_exchanges import RandomFaults, SimulatedExchanges
from benchmarks.soaks.trial_balances import TrialBalances
from kit.base import rpc
from kit.base.access.local_tokens import LocalCredentials
from kit.base.clock import SystemClock
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment
from kit.simulator.account_states import AccountState
from ops.errors import OperationsError
from ops.output import print_json
from ops.progress import ShowProgress, progress
from ops.venues import LIVE, NO_SIMULATOR, known_ports, require
from tests.integration.mesh import NOT_YET, Mesh, running

SERVICES = (
    *("postgres", "valkey", "ledger", "inspector", "audit", "detector", "advisor"),
    *("registry", "envoy"),
)
"""They are killed, and the venues; not the simulator: it is the exchanges."""
WITHOUT = ("repair", "bridge")
"""Nothing of what is looked at comes from them."""
EVENTS_PER_SECOND = "20"
"""Of each simulated market: trading needs prices, and no crowd."""
FUNDING_INTERVAL_S = "150"
STRATEGIES = Path(__file__).parent / "strategies"
PAPER_VENUES = ("binance", "bybit", "okx_futures")
"""Where they trade, beside the client's orders."""
CALL_SECONDS_MAX = 60.0
AT_THE_END: Mapping[str, Any] = {"timeout": 600.0, "wait_for_ready": True}
CALLS_OF_A_REQUEST = 4
"""At the exchange, with queries of its outcome."""
LOOK_SECONDS = 2.0
END_SECONDS_MAX = 600.0
"""In which what has happened must be in the ledger. It lists cash flows and fills each minute."""
STAY_SECONDS = 130.0
"""In which it lists twice more. What it books then must be right, too."""
BOOKED = """
SELECT account.venue, posted.kind, count(DISTINCT group_number) FROM ledger_entries
JOIN ledger_accounts AS account USING (account_id) JOIN ledger_groups AS posted USING (group_number)
WHERE account.account = %s GROUP BY 1, 2
"""
KIND_PREFIX = "POSTING_KIND_"


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens, and what is killed."""

    minutes: float = 60.0
    venues: tuple[str, ...] = ()
    seed: int = 1
    pause_seconds: float = 1.0
    """Between two requests at one venue; longer where it allows fewer calls."""
    fault_seconds: float = 2.0
    """From one fault to the next, at all venues together; 0: there are none."""
    kill_seconds: float = 10.0
    """From one kill to the next; 0: none is killed."""

    @property
    def victims(self) -> list[str]:
        return sorted({*SERVICES, *self.venues})


class Outcome(msgspec.Struct, kw_only=True):
    """What was found."""

    wrong: list[str]
    risk: RiskFindings
    balances: int
    """And positions, that were compared."""
    booked: dict[str, dict[str, int]]
    """Groups of the ledger, by venue and kind."""
    answers: dict[str, dict[str, int]]
    """To requests of the client, by venue and what they say."""
    faults: dict[str, int]
    kills: dict[str, int]
    seconds: float
    """Of trading."""
    settling_seconds: float
    """From its end until all was equal."""


class CashSoak:
    """One run, in a mesh that has started."""

    def __init__(self, plan: Plan, mesh: Mesh) -> None:
        self._plan = plan
        self._mesh = mesh
        self._kills: Counter[str] = Counter()
        self._faults = RandomFaults(plan.venues, plan.seed)
        self._times = UnprotectedTimes(mesh.sql)
        credentials = LocalCredentials(mesh.data, mesh.state()["mesh_id"], SystemClock())
        rpc.identify(credentials)
        url = f"http://127.0.0.1:{mesh.port('simulator')}"
        self._exchanges = SimulatedExchanges(url, credentials)

    async def run(self, show: ShowProgress) -> Outcome:
        """Trade, then compare the cash of the ledger with the exchanges. Raises OperationsError."""
        plan = self._plan
        async with rpc.plain_channel(self._mesh.gateway) as channel:
            operator = Operator(channel, plan.venues)
            traders = {
                venue: RandomOrders(venue, channel, _pause_seconds(plan, venue), plan.seed)
                for venue in plan.venues
            }
            await self._until_ready(list(traders.values()))
            started = time.monotonic()
            watching = [self._times.run(), operator.run()]
            async with self._happening([*watching, *(one.run() for one in traders.values())]):
                while (passed := time.monotonic() - started) < plan.minutes * 60:
                    kills, fills = sum(self._kills.values()), self._answered(traders, "FILLED")
                    show(passed, plan.minutes * 60, f"{fills} filled, {kills} kills")
                    await asyncio.sleep(LOOK_SECONDS)
            ended = time.monotonic()
            show(passed, plan.minutes * 60, "comparing")
            wrong = await self._until_quiet(list(traders.values()), operator)
            ledger: ledger_pb2_grpc.LedgerAsyncStub = ledger_pb2_grpc.LedgerStub(channel)
            different, balances, settled = await self._compared(ledger)
            wrong += [
                *different,
                *await self._verified(ledger),
                *await self._unreconciled(operator),
            ]
        booked, risk = self._booked(), findings(self._mesh.sql, self._times)
        wrong += [f"allowed beyond a limit: {one}" for one in risk.limit_breaches]
        wrong += [f"{one}: no fill is booked" for one in plan.venues if not booked[one].get("FILL")]
        return Outcome(
            wrong=wrong,
            risk=risk,
            balances=balances,
            booked=booked,
            answers={venue: dict(one.counts) for venue, one in traders.items()},
            faults=dict(self._faults.counts),
            kills=dict(self._kills),
            seconds=ended - started,
            settling_seconds=settled - ended,
        )

    @asynccontextmanager
    async def _happening(self, trading: Sequence[Any]) -> AsyncIterator[None]:
        """Trade, let faults happen and kill processes meanwhile."""
        tasks = [*trading, self._disturb(), self._kill_in_turn()]
        async with asyncio.TaskGroup() as group:
            running_tasks = [group.create_task(one) for one in tasks]
            yield
            for task in running_tasks:
                task.cancel()
        await self._exchanges.clear()

    async def _disturb(self) -> None:
        while self._plan.fault_seconds:
            await self._exchanges.command(self._faults.next())
            await asyncio.sleep(self._plan.fault_seconds)

    async def _kill_in_turn(self) -> None:
        """Kill one process after the other, in random order, each once before any is killed
        again."""
        chance, turn = random.Random(self._plan.seed), list[str]()
        while self._plan.kill_seconds:
            await asyncio.sleep(self._plan.kill_seconds)
            if not turn:
                turn = self._plan.victims
                chance.shuffle(turn)
            with suppress(*NOT_YET):
                victim = turn.pop()
                self._kills[victim] += bool(self._mesh.kill(victim))

    async def _until_ready(self, traders: Sequence[RandomOrders]) -> None:
        until = time.monotonic() + END_SECONDS_MAX
        while away := [one.venue for one in traders if not await one.is_ready()]:
            if time.monotonic() > until:
                text = f"the accounts of {', '.join(away)} take no orders; --data DIR keeps the log"
                raise OperationsError(text)
            await asyncio.sleep(LOOK_SECONDS)

    async def _until_quiet(self, traders: Sequence[RandomOrders], operator: Operator) -> list[str]:
        """Wait until every process runs, every account is ready, no order is open and strategies
        hold nothing. Returns what has not become so."""
        await asyncio.to_thread(self._mesh.wait_until_running)
        until = time.monotonic() + END_SECONDS_MAX
        while True:
            busy = [f"{one.venue}: not ready" for one in traders if not await one.is_ready()]
            for trader in traders:
                await trader.cancel_all()
            open_orders = {one.venue: one.open_orders for one in await self._states()}
            busy += [f"{name}: {count} orders open" for name, count in open_orders.items() if count]
            if held := await operator.close_all():
                busy.append(f"{held} positions of strategies are not closed")
            if not busy or time.monotonic() > until:
                return busy
            await asyncio.sleep(LOOK_SECONDS)

    async def _states(self) -> list[AccountState]:
        """The accounts that are traded."""
        found = await self._exchanges.accounts()
        return [one for one in found if one.account == ACCOUNT and one.venue in self._plan.venues]

    async def _compared(
        self, ledger: "ledger_pb2_grpc.LedgerAsyncStub"
    ) -> tuple[list[str], int, float]:
        """Wait until all is equal, and is so again when the ledger has listed twice more: funding
        is paid meanwhile. Returns what is wrong, how many balances there are, and when they were
        equal first."""
        until = time.monotonic() + END_SECONDS_MAX
        equal_since: float | None = None
        while True:
            states = await self._states()
            count = sum(len(one.balances) + len(one.positions) for one in states)
            found = await self._differences(ledger, states)
            now = time.monotonic()
            if found is not None and not found:
                equal_since = equal_since or now
                if now - equal_since >= STAY_SECONDS:
                    return [], count, equal_since
            elif now > until:
                if found is None:
                    return ["the ledger does not answer"], count, now
                texts = [text for one in found for text in await self._texts(ledger, one, states)]
                return texts, count, now
            await asyncio.sleep(LOOK_SECONDS)

    async def _differences(
        self, ledger: "ledger_pb2_grpc.LedgerAsyncStub", states: Sequence[AccountState]
    ) -> list[Difference] | None:
        """None while the ledger does not answer."""
        accounts = [(one.venue, one.account) for one in states]
        try:
            found = await cash_balances.of_ledger(ledger, accounts, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError:
            return None
        return cash_balances.differences(found, cash_balances.of_exchanges(states))

    async def _texts(
        self,
        ledger: "ledger_pb2_grpc.LedgerAsyncStub",
        difference: Difference,
        states: Sequence[AccountState],
    ) -> list[str]:
        fills = cash_balances.newest_fills(difference, states)
        entries = await cash_balances.newest_entries(difference, ledger, **AT_THE_END)
        details = [*(f"  fill {one}" for one in fills), *(f"  entry {one}" for one in entries)]
        return [str(difference), *details]

    async def _verified(self, ledger: "ledger_pb2_grpc.LedgerAsyncStub") -> list[str]:
        """What is wrong in the books themselves."""
        trial = TrialBalances(ledger, self._plan.venues)
        request = ledger_pb2.GetTrialBalanceRequest()
        trial.check("", await ledger.GetTrialBalance(request, **AT_THE_END))
        verified = await ledger.VerifyLedger(ledger_pb2.VerifyLedgerRequest(), **AT_THE_END)
        return [*trial.wrong, *verified.findings]

    async def _unreconciled(self, operator: Operator) -> list[str]:
        """Wait until the sides agree on every account. Returns what has not become so."""
        until = time.monotonic() + END_SECONDS_MAX
        while found := await operator.unreconciled():
            if time.monotonic() > until:
                return found
            await asyncio.sleep(LOOK_SECONDS)
        return []

    def _booked(self) -> dict[str, dict[str, int]]:
        booked: dict[str, dict[str, int]] = {venue: {} for venue in self._plan.venues}
        for venue, kind, count in self._mesh.sql(BOOKED, ACCOUNT):
            name = postings_pb2.PostingKind.Name(kind).removeprefix(KIND_PREFIX)
            booked.setdefault(venue, {})[name] = count
        return booked

    @staticmethod
    def _answered(traders: dict[str, RandomOrders], state: str) -> int:
        return sum(one.counts[f"ORDER_STATE_{state}"] for one in traders.values())


def _pause_seconds(plan: Plan, venue: str) -> float:
    """Longer where the venue allows few calls: its process has questions to ask, too."""
    limits = discovery.require(venue)(Environment(LIVE, NO_SIMULATOR)).limits
    return max(plan.pause_seconds, CALLS_OF_A_REQUEST / limits.orders_per_second)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    plan = Plan()
    parser.add_argument("--minutes", type=float, default=plan.minutes, help="of trading")
    parser.add_argument("--venues", metavar="A,B", help="default: all")
    parser.add_argument("--seed", type=int, default=plan.seed, help="of orders, faults and kills")
    parser.add_argument(
        "--pause",
        type=float,
        default=plan.pause_seconds,
        help="seconds between two requests at one venue, or more where it allows few calls",
    )
    parser.add_argument(
        "--faults-every",
        type=float,
        default=plan.fault_seconds,
        help="seconds between two faults at the exchanges; 0: there are none",
    )
    parser.add_argument(
        "--every",
        type=float,
        default=plan.kill_seconds,
        help="seconds between two kills; 0: none is killed",
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="of the inspector; benchmarks/soaks/limits.toml"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep everything in this folder")


def run(chosen: argparse.Namespace) -> int:
    """Returns 0 when the ledger and the exchanges are equal."""
    venues = tuple((chosen.venues or ",".join(known_ports())).split(","))
    for venue in venues:
        require(venue)
    plan = Plan(
        chosen.minutes, venues, chosen.seed, chosen.pause, chosen.faults_every, chosen.every
    )
    os.environ["VENUEMESH_SIMULATOR_EVENTS_PER_SECOND"] = EVENTS_PER_SECOND
    os.environ["VENUEMESH_SIMULATOR_FUNDING_INTERVAL_S"] = FUNDING_INTERVAL_S
    os.environ["VENUEMESH_DETECTOR_STRATEGIES_FOLDER"] = str(STRATEGIES)
    paper = [f"{venue}/paper" for venue in PAPER_VENUES if venue in venues]
    os.environ["VENUEMESH_ORDERS_PAPER_ACCOUNTS"] = ",".join(paper)
    if chosen.policy is not None:
        os.environ["VENUEMESH_INSPECTOR_POLICY_FILE"] = str(chosen.policy.resolve())
    options = ("--world", "simulate", "--seed", str(plan.seed), "--venues", ",".join(venues))
    with (
        data_folder(chosen.data) as data,
        running(data, *options, "--without", ",".join(WITHOUT)) as mesh,
        progress("seconds", as_json=chosen.json) as show,
    ):
        mesh.wait_until_running()
        outcome = asyncio.run(CashSoak(plan, mesh).run(show))
    if chosen.json:
        print_json(outcome)
    else:
        _print(outcome)
    return int(bool(outcome.wrong))


def _print(outcome: Outcome) -> None:
    table = Table(title="booked", title_justify="left")
    kinds = sorted({kind for counts in outcome.booked.values() for kind in counts})
    table.add_column("venue")
    for kind in kinds:
        table.add_column(kind.lower().replace("_", " "), justify="right")
    for venue, counts in sorted(outcome.booked.items()):
        table.add_row(venue, *(f"{counts.get(kind, 0):,}" for kind in kinds))
    console = Console(width=120)
    console.print(table)
    for venue, counts in sorted(outcome.answers.items()):
        console.print(f"answers of {venue}: {listed(counts)}")
    console.print(f"faults: {listed(outcome.faults)}")
    console.print(f"kills in {outcome.seconds:,.0f} s: {listed(outcome.kills)}")
    for line in lines(outcome.risk):
        console.print(line)
    for line in outcome.wrong:
        console.print(line, style="red", markup=False)
    equal = f"[green]{outcome.balances} balances and positions are equal[/]"
    settled = f", {outcome.settling_seconds:,.0f} s after the last order"
    console.print("[bold red]not equal[/]" if outcome.wrong else equal + settled)
