"""Distributes strategies over worker processes."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.detector.evaluation import (
    EvaluationLost,
    ProgramFolder,
    StrategyFault,
    StrategyRefused,
    StrategySource,
)
from core.detector.workers.messages import (
    Begin,
    Begun,
    Drop,
    Failed,
    Load,
    LoadAll,
    Loaded,
    Restrictions,
    Source,
)
from core.detector.workers.remote_instance import RemoteInstance, expected
from core.detector.workers.worker_process import WorkerLimits, WorkerProcess
from kit.strategy.loader import FILES, StrategyFileError, version_of
from kit.strategy.strategy import Instrument
from kit.strategy.strategy_terms import StrategyTerms

LOADER_SECONDS = 5.0
"""The process in which files are checked ends so long after one, if it checks no other one."""


class WorkerPool:
    """A new instance goes to the process with the fewest. Processes start when they are needed.

    Files are checked in a process of their own, so that a wrong one ends no strategy that runs.
    """

    def __init__(
        self,
        count: int,
        limits: WorkerLimits,
        *,
        must_be_restricted: bool,
        started: Callable[[Restrictions], None],
    ) -> None:
        """``count``: most processes. ``must_be_restricted``: nothing runs where files and network
        cannot be closed. ``started``: called with the restrictions of each new process."""
        self._must_be_restricted = must_be_restricted
        self._started = started
        self._slots = [_Slot(limits, self._check) for _ in range(count)]
        self._loader = _Slot(limits, self._check)
        self._numbers = itertools.count(1)

    async def load(self, source: StrategySource, name: str) -> "WorkerProgram":
        file = Path(source.file or f"{name}.py")
        chosen = Source(file.name, source.content, dict(source.parameters), source.strategy, name)
        (terms,) = await self._terms(Load(chosen), file)
        return WorkerProgram(self, chosen, terms)

    async def load_folder(self, folder: Path) -> ProgramFolder:
        files = sorted(file for file in folder.iterdir() if file.match(FILES))
        found: dict[str, WorkerProgram] = {}
        errors: list[StrategyFileError] = []
        for file in files:
            try:
                for program in await self._programs(file):
                    known = found.setdefault(program.terms.name, program)
                    if known is not program:
                        name, first = program.terms.name, known.terms.file
                        reason = f"{first} has a strategy of the name {name!r} already"
                        raise StrategyFileError(file, 1, reason)
            except StrategyFileError as error:
                errors.append(error)
        return ProgramFolder([found[name] for name in sorted(found)], errors)

    async def begin(
        self, source: Source, terms: StrategyTerms, instrument: Instrument, state: bytes | None
    ) -> RemoteInstance:
        """An instance in the process that has the fewest. Raises StrategyFault, EvaluationLost,
        StrategyRefused."""
        slot = min(self._slots, key=lambda slot: slot.instances)
        slot.instances += 1
        number, worker = next(self._numbers), None
        try:
            worker = await slot.worker()
            answer = await worker.ask(Begin(number, source, *instrument, state))
            begun = expected(answer, Begun, terms.file)
            return RemoteInstance(worker, number, terms, instrument, begun, slot.leave)
        except BaseException:
            slot.leave()
            if worker is not None:
                # The instance may exist, though its caller was cancelled.
                worker.tell(Drop(number))
            raise

    async def close(self) -> None:
        """End all processes, and wait for their ends."""
        for slot in (*self._slots, self._loader):
            await slot.close()

    async def _programs(self, file: Path) -> list["WorkerProgram"]:
        try:
            source = Source(file.name, file.read_bytes(), {}, "", "")
        except OSError as error:
            raise StrategyFileError(file, 1, error.strerror or str(error)) from error
        found = await self._terms(LoadAll(source), file)
        return [
            WorkerProgram(self, Source(source.file, source.content, {}, one.name, ""), one)
            for one in found
        ]

    async def _terms(self, request: Load | LoadAll, file: Path) -> list[StrategyTerms]:
        """Raises StrategyFileError, EvaluationLost, StrategyRefused."""
        self._loader.instances += 1
        try:
            worker = await self._loader.worker()
            answer = await worker.ask(request)
        except StrategyFault as error:
            raise StrategyFileError(file, 1, str(error)) from error
        finally:
            self._loader.leave()
            asyncio.get_running_loop().call_later(LOADER_SECONDS, self._end_idle_loader)
        source = request.source
        version = version_of(source.content, source.parameters)
        if isinstance(answer, Failed):
            raise StrategyFileError(file, answer.line, answer.reason)
        terms = answer.terms if isinstance(answer, Loaded) else []
        is_chosen = isinstance(request, LoadAll) or (
            len(terms) == 1 and source.name in ("", terms[0].name)
        )
        if not is_chosen or any((one.version, one.file) != (version, file.name) for one in terms):
            raise StrategyFileError(file, 1, "its process has answered with another strategy")
        return terms

    def _check(self, restrictions: Restrictions) -> None:
        """Raises StrategyRefused."""
        self._started(restrictions)
        if self._must_be_restricted and restrictions.missing:
            raise StrategyRefused(
                "a strategy is code of somebody, and this machine cannot keep it away from the"
                f" keys of a live mesh: {restrictions.missing}. Use Linux 5.13 or newer with"
                " Landlock and seccomp, or run strategies in the world simulate or replay"
            )

    def _end_idle_loader(self) -> None:
        if not self._loader.instances:
            self._loader.end()


class WorkerProgram:
    """A strategy that the processes of a pool can run."""

    def __init__(self, pool: WorkerPool, source: Source, terms: StrategyTerms) -> None:
        self.terms = terms
        self._pool = pool
        self._source = source

    async def begin(self, instrument: Instrument, state: bytes | None) -> RemoteInstance:
        return await self._pool.begin(self._source, self.terms, instrument, state)


class _Slot:
    """Room for a process."""

    def __init__(self, limits: WorkerLimits, check: Callable[[Restrictions], None]) -> None:
        self.instances = 0
        self._limits = limits
        self._check = check
        self._started: asyncio.Task[WorkerProcess] | None = None

    async def worker(self) -> WorkerProcess:
        """The one that runs, or a new one. Raises EvaluationLost, StrategyRefused."""
        if self._started is None or _is_over(self._started):
            self._started = asyncio.create_task(self._start())
        # Others may wait for it too when this caller is cancelled. And uvloop closes the socket
        # of a connection twice whose start is cancelled: by then it may be another's descriptor.
        return await asyncio.shield(self._started)

    def leave(self) -> None:
        self.instances -= 1

    def end(self) -> None:
        """Without waiting for its end."""
        if self._started is not None and self._started.done() and not _is_over(self._started):
            self._started.result().end()

    async def close(self) -> None:
        if self._started is not None:
            with suppress(EvaluationLost, StrategyRefused):
                await (await asyncio.shield(self._started)).close()

    async def _start(self) -> WorkerProcess:
        worker = WorkerProcess(self._limits)
        await worker.start()
        try:
            self._check(worker.restrictions)
        except StrategyRefused:
            await worker.close()
            raise
        return worker


def _is_over(started: "asyncio.Task[WorkerProcess]") -> bool:
    """Whether its start has failed, or the process has ended."""
    if not started.done():
        return False
    return started.cancelled() or started.exception() is not None or started.result().is_over
