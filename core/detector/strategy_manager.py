"""Starts, stops and pauses strategies while the mesh runs."""

import asyncio
from asyncio import TaskGroup
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core.detector import run_requests
from core.detector.context import DetectorContext
from core.detector.evaluation import (
    EvaluationLost,
    ProgramFolder,
    StrategyProgram,
    StrategyPrograms,
    StrategyRefused,
    StrategySource,
)
from core.detector.run_requests import RunRequest
from core.detector.strategy_runner import StrategyRunner
from kit.base.database import POSTGRESQL
from kit.base.errors import BadRequest, ServiceUnavailable, StoreUnavailable, UnknownStrategy
from kit.strategy.loader import StrategyFileError
from kit.strategy.strategy_terms import StrategyTerms

LOOK_SECONDS = 1.0
"""Time between reads of starts and stops through another process."""
SOURCE_BYTES_MAX = 1_000_000
PARAMETERS_MAX = 100
BY_A_PERSON = "it was stopped by a person; StartStrategy starts it again"


@dataclass(frozen=True, slots=True)
class _Known:
    """A strategy and its runners."""

    assignment: RunRequest
    error: StrategyFileError | None
    """Why its file cannot be used."""
    runners: Sequence[StrategyRunner]
    tasks: Sequence[asyncio.Task[None]]


_UNDECIDED = RunRequest(changes=-1)
"""Before the first read of the database."""


class StrategyManager:
    """Runs the strategies of a folder, and those that persons have started."""

    def __init__(
        self, programs: StrategyPrograms, folder: ProgramFolder, context: DetectorContext
    ) -> None:
        """``programs``: loads those that persons start."""
        self._programs = programs
        self._folder = {one.terms.name: one for one in folder.programs}
        self._folder_errors = list(folder.errors)
        self._context = context
        self._known = {name: self._made(_UNDECIDED, one) for name, one in self._folder.items()}
        self._changed = asyncio.Event()

    @property
    def runners(self) -> list[StrategyRunner]:
        """All, those that were stopped too, by strategy and instrument."""
        found = (runner for known in self._known.values() for runner in known.runners)
        return sorted(found, key=lambda runner: runner.key)

    @property
    def errors(self) -> list[StrategyFileError]:
        """Files that cannot be used, by name."""
        started = (known.error for known in self._known.values() if known.error is not None)
        return sorted([*self._folder_errors, *started], key=lambda error: error.file.name)

    async def run(self) -> None:
        try:
            async with TaskGroup() as group:
                while True:
                    await self._look(group)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self._changed.wait()
                    self._changed.clear()
        finally:
            # Their tasks have ended with the group.
            self._known = {
                name: replace(known, assignment=_UNDECIDED) for name, known in self._known.items()
            }

    async def start(self, name: str, source: StrategySource | None) -> StrategyTerms:
        """Start a strategy. ``source``: None starts one that was stopped. Raises BadRequest,
        UnknownStrategy, StoreUnavailable, ServiceUnavailable."""
        if source is None:
            return await self._start_again(name)
        for what, count, most in (
            ("source bytes", len(source.content), SOURCE_BYTES_MAX),
            ("parameters", len(source.parameters), PARAMETERS_MAX),
        ):
            if count > most:
                raise _unusable(f"{count} {what}; allowed: up to {most}", str(count), f"{most}")
        terms = (await self._loaded(source, name)).terms
        for venue, symbol in terms.parsed_instruments():
            if await self._context.listings.unlisted(venue, [symbol]):
                text = f"instruments: {venue} lists no instrument {symbol!r}"
                raise _unusable(text, f"{venue}/{symbol}", "an instrument that its venue lists")
        async with self._context.database.transaction() as connection:
            await run_requests.start(connection, terms.name, source)
        self._changed.set()
        return terms

    async def stop(self, name: str) -> None:
        """Stop a strategy. Raises UnknownStrategy, StoreUnavailable."""
        async with self._context.database.transaction() as connection:
            await self._require(name, await run_requests.listed(connection))
            await run_requests.switch(connection, name, runs=False)
            for runner in self._runs_as(name):
                await runner.keep_stopped(connection, BY_A_PERSON)
        self._context.after_signal(None)
        self._changed.set()

    async def pause(self, name: str) -> None:
        """Keep a strategy from opening positions. Raises UnknownStrategy, BadRequest,
        StoreUnavailable."""
        await self._switch_pause(name, is_paused=True)

    async def resume(self, name: str) -> None:
        """Let a paused strategy open positions again. Raises UnknownStrategy, BadRequest,
        StoreUnavailable."""
        await self._switch_pause(name, is_paused=False)

    async def _switch_pause(self, name: str, *, is_paused: bool) -> None:
        async with self._context.database.transaction() as connection:
            listed = await run_requests.listed(connection)
            await self._require(name, listed)
            known = listed.get(name, RunRequest())
            if not known.runs:
                text = f"strategy {name!r} is stopped; StartStrategy starts it"
                raise BadRequest(text, field="strategy", value=name, allowed="one that runs")
            if known.is_paused != is_paused:
                await run_requests.switch(connection, name, runs=True, is_paused=is_paused)
        self._changed.set()

    def _runs_as(self, name: str) -> Sequence[StrategyRunner]:
        return self._known[name].runners if name in self._known else ()

    async def _start_again(self, name: str) -> StrategyTerms:
        async with self._context.database.transaction() as connection:
            await self._require(name, await run_requests.listed(connection))
            source = await run_requests.source_of(connection, name)
        program = self._folder[name] if source is None else await self._loaded(source, name)
        async with self._context.database.transaction() as connection:
            await run_requests.switch(connection, name, runs=True)
        self._changed.set()
        return program.terms

    async def _loaded(self, source: StrategySource, name: str) -> StrategyProgram:
        """Raises BadRequest, ServiceUnavailable."""
        try:
            return await self._programs.load(source, name)
        except StrategyFileError as error:
            place = f"{error.file.name}:{error.line}"
            raise _unusable(str(error), place, "a file with a strategy that can run") from error
        except StrategyRefused as error:
            raise _unusable(str(error), "", "no strategy on this machine") from error
        except EvaluationLost as error:
            raise ServiceUnavailable(f"the strategy could not be checked: {error}") from error

    async def _require(self, name: str, listed: dict[str, RunRequest]) -> None:
        known = sorted({*self._folder, *listed})
        if name not in known:
            text = f"there is no strategy {name!r}; known: {', '.join(known) or 'none'}"
            raise UnknownStrategy(text, strategy=name)

    async def _look(self, group: TaskGroup) -> None:
        """Run what is wanted now, and nothing else."""
        try:
            async with self._context.database.transaction() as connection:
                listed = await run_requests.listed(connection)
                sources = {
                    name: await run_requests.source_of(connection, name)
                    for name, wanted in listed.items()
                    if self._is_new(name, wanted)
                }
        except StoreUnavailable as error:
            self._context.degraded_reasons.report(POSTGRESQL, error.message)
            return
        for name in {**dict.fromkeys(self._folder), **listed}:
            wanted = listed.get(name, RunRequest())
            if self._is_new(name, wanted):
                await self._replace(group, name, wanted, sources.get(name))

    def _is_new(self, name: str, wanted: RunRequest) -> bool:
        known = self._known.get(name)
        return known is None or known.assignment != wanted

    async def _replace(
        self, group: TaskGroup, name: str, wanted: RunRequest, source: StrategySource | None
    ) -> None:
        program, error = self._folder.get(name), None
        if source is not None:
            program = None
            try:
                program = await self._programs.load(source, name)
            except StrategyFileError as failed:
                error = failed
            except StrategyRefused as refused:
                error = StrategyFileError(Path(source.file or f"{name}.py"), 1, str(refused))
            except EvaluationLost as lost:
                # The next look tries it again.
                self._context.degraded_reasons.report(f"strategy {name}", str(lost))
                return
        self._context.degraded_reasons.clear(f"strategy {name}")
        before = self._known.get(name)
        if before is not None:
            await _cancelled(before.tasks)
            for runner in before.runners:
                runner.forget()
        known = self._made(wanted, program, error)
        counts = {one.key: one.signals for one in before.runners} if before is not None else {}
        for runner in known.runners:
            runner.signals = counts.get(runner.key, 0)
        if not wanted.runs:
            for runner in known.runners:
                runner.stay_stopped(BY_A_PERSON)
        tasks = [
            group.create_task(
                self._context.ownership.run_owned(runner.key, runner.run), name=runner.name
            )
            for runner in known.runners
            if wanted.runs
        ]
        self._known[name] = replace(known, tasks=tasks)

    def _made(
        self,
        wanted: RunRequest,
        program: StrategyProgram | None,
        error: StrategyFileError | None = None,
    ) -> _Known:
        runners = [] if program is None else self._runners_of(program, wanted.is_paused)
        return _Known(wanted, error, runners, [])

    def _runners_of(self, program: StrategyProgram, is_paused: bool) -> list[StrategyRunner]:
        instruments = program.terms.parsed_instruments()
        return [StrategyRunner(program, one, self._context, is_paused) for one in instruments]


def _unusable(message: str, value: str, allowed: str) -> BadRequest:
    return BadRequest(message, field="source", value=value, allowed=allowed)


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
