"""``./venuemesh soak ledger``: random executions at eight venues, while every process is killed.

PostgreSQL, Valkey, the registry, the ledger and Audit run as the supervisor runs them, beside a
process for each venue, in which fills, fees, funding and transfers happen that follow from the
seed. What happens is reported twice, late and in another order. Each process is killed with kill -9
once in each period, in random order, while the trial balance is asked for again and again. At the
end balances, positions and profits are compared with an independent computation in fractions, each
execution has one group of postings or the reason why it has none, and Audit verifies its log.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from venuemesh.audit.v1 import audit_pb2, audit_pb2_grpc
from venuemesh.events.v1 import event_pb2
from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc

from benchmarks.soaks.books import Booked, Expected, executions_of
from benchmarks.soaks.executions import STRATEGIES, VENUES, VenueExecutions, chain_of
from benchmarks.soaks.trial_balances import CALL_SECONDS_MAX, TrialBalances
from benchmarks.soaks.venue import allow, has_ended
from kit.base import rpc
from kit.base.access.local_tokens import LocalCredentials
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.base.paging import whole_list
from kit.base.settings import MeshSettings
from kit.events import event_log
from ops import ports
from ops.embedded import postgres
from ops.embedded.server_command import LOOPBACK
from ops.errors import OperationsError
from ops.output import print_json
from ops.progress import ShowProgress, progress
from ops.supervisor.child import ProcessState, RestartDelays
from ops.supervisor.data_folder import LOG_FOLDER
from ops.supervisor.mesh import Mesh
from ops.supervisor.options import MeshOptions
from ops.supervisor.service_spec import ServiceSpec
from ops.supervisor.supervisor import Supervisor
from ops.venues import known_ports
from tests.integration.mesh import free_base_port, new_folder

SERVICES = frozenset({"postgres", "valkey", "registry", "ledger", "audit"})
CHECKPOINT_INTERVAL_S = "1"
RESTARTS = RestartDelays(first_seconds=0.2, most_seconds=1.0, well_seconds=5.0)
"""Killed every ten seconds, they would soon be started every five."""
STREAMS = (event_pb2.EVENT_STREAM_EXECUTIONS, event_pb2.EVENT_STREAM_LEDGER)
AHEAD_MAX = 3_000
"""Executions of a venue that the ledger may not know of yet. It lists cash flows each minute."""
AT_THE_END: Mapping[str, Any] = {"timeout": CALL_SECONDS_MAX, "wait_for_ready": True}
"""Of calls to processes that may just have been started again."""
UNSIGNED = """
SELECT FROM audit_leaves WHERE stream IN ('executions', 'ledger')
AND index >= coalesce((SELECT max(size) FROM audit_checkpoints), 0) LIMIT 1
"""
LOOK_SECONDS = 0.25
STALL_SECONDS_MAX = 240.0
"""Without a new posting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens, and what is killed."""

    events: int = 1_000_000
    seed: int = 1
    every_seconds: float = 10.0
    """In which each process is killed once; 0: none is."""
    venues: tuple[str, ...] = tuple(VENUES)
    victims: frozenset[str] = SERVICES | frozenset(VENUES)
    """What is killed."""


class Outcome(msgspec.Struct, kw_only=True):
    """What was found."""

    executions: int
    wrong: list[str]
    groups: int
    postings: int
    refused: dict[str, int]
    kills: dict[str, int]
    trial_balances: int
    """Those that were answered."""
    unanswered: int
    leaves: int
    seconds: float
    """From the first execution that was booked to the last one."""


class LedgerSoak:
    """One run, in a data folder."""

    def __init__(self, plan: Plan, data: Path) -> None:
        self._plan = plan
        self._data = data
        self._venues = executions_of(plan.venues, plan.seed, plan.events)
        settings = MeshSettings()
        options = MeshOptions("simulate", plan.venues, data, seed=plan.seed)
        self._mesh = Mesh(options, ports.assign(known_ports(), free_base_port()), settings)
        self._chains_stored = False
        self._allowed = data / "allowed"
        self._supervisor = Supervisor(
            [*self._services(), *map(self._venue, self._venues)],
            data / LOG_FOLDER,
            restart_delays=RESTARTS,
        )
        self._kills: Counter[str] = Counter()
        self._victims = sorted(plan.victims) if plan.every_seconds else []
        url = postgres.url(self._mesh.ports["postgres"])
        self._url = self._mesh.stores.passwords.login_url(url)
        self._database = Database(self._url)

    async def run(self, show: ShowProgress) -> Outcome:
        """Run it. Raises an ExceptionGroup with OperationsError when a process does not start or
        nothing is booked any more."""
        (self._data / LOG_FOLDER).mkdir()
        allow(self._allowed, AHEAD_MAX)
        rpc.identify(LocalCredentials(self._data, self._mesh.settings.mesh_id, SystemClock()))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervisor.run())
            try:
                async with rpc.channel(self._address("ledger")) as ledger:
                    return await self._played(ledger_pb2_grpc.LedgerStub(ledger), show)
            finally:
                await self._database.close()
                self._supervisor.stop()

    async def _played(
        self, ledger: "ledger_pb2_grpc.LedgerAsyncStub", show: ShowProgress
    ) -> Outcome:
        await self._store_chains()
        trial = TrialBalances(ledger, self._plan.venues)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(trial.run())
            await self._until_running()
            killing = group.create_task(self._kill_in_turn())
            seconds = await self._until_booked(show)
            killing.cancel()
            await self._until_running()
            show(self._plan.events, self._plan.events, "comparing")
            booked = await self._compared(ledger)
            leaves = await self._verified(booked)
            asking.cancel()
        return Outcome(
            executions=self._plan.events,
            wrong=[*trial.wrong, *booked.wrong],
            groups=booked.groups,
            postings=booked.postings,
            refused=dict(booked.refused),
            kills=dict(self._kills),
            trial_balances=trial.answered,
            unanswered=trial.unanswered,
            leaves=leaves,
            seconds=seconds,
        )

    def _services(self) -> Iterator[ServiceSpec]:
        interval = {"VENUEMESH_AUDIT_CHECKPOINT_INTERVAL_S": CHECKPOINT_INTERVAL_S}
        for service in self._mesh.services():
            if service.name in SERVICES:
                environment = {**service.command.environment, **interval}
                yield replace(service, command=replace(service.command, environment=environment))

    def _venue(self, executions: VenueExecutions) -> ServiceSpec:
        """The process of a venue, with random executions instead of an exchange."""
        service = self._mesh.venue_service(executions.venue)
        module = (sys.executable, "-m", "benchmarks.soaks.venue")
        which = (executions.venue, str(executions.seed), str(executions.count))
        files = (str(self._file(executions)), str(self._allowed))
        command = replace(service.command, arguments=(*module, *which, *files))
        return replace(service, command=command, may_start=lambda: self._chains_stored)

    def _file(self, executions: VenueExecutions) -> Path:
        return self._data / f"{executions.venue}.happened"

    def _address(self, service: str) -> str:
        return f"{LOOPBACK}:{self._mesh.ports[service]}"

    async def _store_chains(self) -> None:
        """Store the signals that began the chains of orders, as the detector does."""
        signals = []
        for strategy in STRATEGIES:
            chain = chain_of(strategy)
            signal_event = event_pb2.Event(event_id=chain, source="detector", lifecycle_id=chain)
            signal_event.signal_raised.strategy = strategy
            signals.append(signal_event)
        now_ns = SystemClock().time_ns()
        while not self._chains_stored:
            with suppress(StoreUnavailable):
                async with self._database.transaction() as connection:
                    stream = event_pb2.EVENT_STREAM_SIGNALS
                    await event_log.append(connection, stream, signals, now_ns)
                self._chains_stored = True
            await asyncio.sleep(LOOK_SECONDS)

    async def _until_running(self) -> None:
        while any(one.state is not ProcessState.RUNNING for one in self._supervisor.children):
            await asyncio.sleep(LOOK_SECONDS)

    async def _kill_in_turn(self) -> None:
        """Kill each process once in each period, in random order. Runs forever."""
        chance, count = random.Random(self._plan.seed), len(self._victims)
        while self._victims:
            for name in chance.sample(self._victims, count):
                await asyncio.sleep(self._plan.every_seconds / count)
                self._kill(name)

    def _kill(self, name: str) -> None:
        child = self._supervisor.child(name)
        # One that is just starting is killed, too; one that waits to be started cannot be.
        if child is not None and child.pid:
            os.kill(child.pid, signal.SIGKILL)
            self._kills[name] += 1

    async def _until_booked(self, show: ShowProgress) -> float:
        """Wait until every execution is booked or refused, and every process was killed. Returns
        the seconds until the last one was booked."""
        started = changed = time.monotonic()
        known, has_ended_before = 0, False
        while known < self._plan.events or not all(map(self._kills.get, self._victims)):
            found = await self._answered(known)
            if found != known:
                known, changed = found, time.monotonic()
                allow(self._allowed, known // len(self._venues) + AHEAD_MAX)
                show(known, self._plan.events, f"{sum(self._kills.values())} kills")
            if time.monotonic() - changed > STALL_SECONDS_MAX:
                text = f"{known} of {self._plan.events} executions are booked, and no more come"
                raise OperationsError(f"{text}; with --data DIR the logs stay in DIR/{LOG_FOLDER}")
            if not has_ended_before and all(map(self._has_ended, self._venues)):
                # Without their cursors the ledger lists what the streams have not brought.
                has_ended_before = True
                for venue in self._plan.venues:
                    self._kill(venue)
            await asyncio.sleep(LOOK_SECONDS)
        return changed - started

    def _has_ended(self, executions: VenueExecutions) -> bool:
        return has_ended(self._file(executions), executions.blocks)

    async def _answered(self, known: int) -> int:
        """How many executions are booked or refused: each has an event of the ledger."""
        with suppress(StoreUnavailable):
            async with self._database.transaction() as connection:
                states = await event_log.stream_states(connection, STREAMS)
                return states[event_pb2.EVENT_STREAM_LEDGER].sequence
        return known

    async def _compared(self, ledger: "ledger_pb2_grpc.LedgerAsyncStub") -> Booked:
        expected = await asyncio.to_thread(Expected.of, self._venues)
        booked = Booked(self._url)
        await asyncio.to_thread(booked.compare, expected)
        balances = await whole_list(
            ledger.GetBalances, ledger_pb2.GetBalancesRequest(), **AT_THE_END
        )
        booked.compare_balances(expected, balances.balances)
        request = ledger_pb2.GetProfitRequest(grouping=ledger_pb2.PROFIT_GROUPING_POSITION)
        profits = await ledger.GetProfit(request, **AT_THE_END)
        booked.compare_profits(expected, profits.profits)
        verified = await ledger.VerifyLedger(ledger_pb2.VerifyLedgerRequest(), **AT_THE_END)
        booked.wrong += verified.findings
        return booked

    async def _verified(self, booked: Booked) -> int:
        """Let Audit verify its log, once it has every event. Returns the number of its leaves."""
        while not await self._is_signed():
            await asyncio.sleep(LOOK_SECONDS)
        async with rpc.channel(self._address("audit")) as channel:
            audit = audit_pb2_grpc.AuditStub(channel)
            calls = audit.Verify(audit_pb2.VerifyRequest(), **AT_THE_END)
            outcome = [response async for response in calls][-1]
        if outcome.HasField("difference"):
            booked.wrong.append(f"log of events: {outcome.difference.detail}")
        return outcome.leaves

    async def _is_signed(self) -> bool:
        """Whether the log has every event, and a checkpoint of them is signed."""
        async with self._database.transaction() as connection:
            states = await event_log.stream_states(connection, STREAMS)
            logged = await event_log.load_positions(connection, "audit")
            rows = await (await connection.execute(UNSIGNED)).fetchall()
        is_logged = all(logged.get(one, 0) >= state.sequence for one, state in states.items())
        return is_logged and not rows


@contextmanager
def data_folder(kept: Path | None) -> Iterator[Path]:
    """An empty folder, which is removed at the end unless it is named."""
    if kept is None:
        with new_folder() as folder:
            yield folder
        return
    if kept.exists():
        raise OperationsError(f"{kept} is there already: name another folder")
    kept.mkdir(parents=True)
    yield kept.absolute()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    plan = Plan()
    parser.add_argument("--events", type=int, default=plan.events, help="of all venues together")
    parser.add_argument("--seed", type=int, default=plan.seed, help="of the executions and kills")
    parser.add_argument(
        "--every",
        type=float,
        default=plan.every_seconds,
        help="seconds in which each process is killed once; 0: none is",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep everything in this folder")


def run(chosen: argparse.Namespace) -> int:
    """Returns 0 when everything is as expected."""
    plan = Plan(chosen.events, chosen.seed, chosen.every)
    with (
        data_folder(chosen.data) as data,
        progress("executions", as_json=chosen.json) as show,
    ):
        try:
            outcome = asyncio.run(LedgerSoak(plan, data).run(show))
        except ExceptionGroup as errors:
            raise _first(errors) from None
    if chosen.json:
        print_json(outcome)
    else:
        _print(outcome)
    return int(bool(outcome.wrong))


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _print(outcome: Outcome) -> None:
    kills, seconds = outcome.kills, outcome.seconds
    refused = sum(outcome.refused.values())
    table = Table(show_header=False, box=None)
    for name, text in (
        ("executions", f"{outcome.executions:,} in {seconds:,.0f} s"),
        ("booked", f"{outcome.groups:,} groups of {outcome.postings:,} postings"),
        ("refused", f"{refused:,} {_listed(outcome.refused)}"),
        ("rate", f"{outcome.executions / seconds:,.0f} executions/s"),
        ("kills", f"{sum(kills.values()):,} {_listed(kills)}"),
        (
            "trial balances",
            f"{outcome.trial_balances:,}, and {outcome.unanswered:,} while a process was away",
        ),
        ("log of events", f"{outcome.leaves:,} leaves"),
    ):
        table.add_row(name, text)
    console = Console(width=120)
    console.print(table)
    for line in outcome.wrong:
        console.print(line, style="red", markup=False)
    console.print("[bold red]wrong[/]" if outcome.wrong else "[green]everything is as expected[/]")


def _listed(counts: dict[str, int]) -> str:
    return f"({', '.join(f'{name} {count:,}' for name, count in sorted(counts.items()))})"
