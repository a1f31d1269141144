"""Starts, calls and ends a worker process, from the detector's side."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

import msgspec

from core.detector.evaluation import EvaluationLost, StrategyFault
from core.detector.workers import cpu_time
from core.detector.workers.cpu_time import CpuTime
from core.detector.workers.messages import (
    ANSWER_BYTES_MAX,
    LENGTH_BYTES,
    Answer,
    Batch,
    Failed,
    Limits,
    Load,
    LoadAll,
    Request,
    Restrictions,
    frame,
)
from kit.base import telemetry

PROGRAM = "core.detector.workers.worker_main"
ROOT = Path(__file__).resolve().parents[3]
START_SECONDS_MAX, END_SECONDS_MAX = 30.0, 1.0
LOOK_SECONDS = 0.2
"""Between two looks at how long a process has worked on a request."""
BATCH_REQUESTS_MAX = 64
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "gen")]),
    "PYTHONSAFEPATH": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Numerical libraries request threads, which the worker cannot start.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
GARBAGE = "it has written to the socket of its process"
LOST = "another strategy has ended the process in which it ran"

_log = telemetry.logger("detector")


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What a process may take."""

    request_seconds_max: float
    """For one request."""
    memory_bytes_max: int
    instance_memory_bytes_max: int


class _Asked(NamedTuple):
    """A request, and who waits for its answer."""

    request: Request
    answer: "asyncio.Future[Answer]"


class WorkerProcess:
    """Answers requests in the order in which they come.

    The request that ends the process, or is not answered in time, raises StrategyFault, as do later
    ones of its instance; all others raise EvaluationLost. While a batch of requests is answered,
    the next one waits: so code that is called finds no request of another strategy to take away.
    """

    def __init__(self, limits: WorkerLimits) -> None:
        self.restrictions = Restrictions("unknown", "unknown", "unknown")
        self.is_over = False
        self._limits = limits
        self._waiting: deque[_Asked] = deque()
        self._sent: deque[_Asked] = deque()
        self._answered: _Asked | None = None
        """The newest one."""
        self._faulty: _Asked | None = None
        """Whose code has ended this process."""
        self._fault = ""
        """What it has done; empty: nothing."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Raises EvaluationLost."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _started(theirs)
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        limits = Limits(self._limits.memory_bytes_max, self._limits.instance_memory_bytes_max)
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                self._writer.write(frame(msgspec.msgpack.encode(limits)))
                found = await self._read()
            self.restrictions = msgspec.msgpack.decode(found, type=Restrictions)
        except (TimeoutError, OSError, EOFError, msgspec.DecodeError) as error:
            await self.close()
            reason = str(error) or type(error).__name__
            raise EvaluationLost(f"no process for strategies could be started: {reason}") from error
        except BaseException:
            await self.close()
            raise
        self._tasks = [asyncio.create_task(one()) for one in (self._take_answers, self._watch)]

    async def ask(self, request: Request) -> Answer:
        """Raises StrategyFault, EvaluationLost."""
        if self.is_over:
            raise self._error(request)
        return await self._add(request)

    def tell(self, request: Request) -> None:
        """Send a request and ignore its answer."""
        if not self.is_over:
            self._add(request).add_done_callback(_ignore)

    async def close(self) -> None:
        """End it, and wait for its end."""
        self.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._process.wait)

    def _add(self, request: Request) -> "asyncio.Future[Answer]":
        loop = asyncio.get_running_loop()
        asked = _Asked(request, loop.create_future())
        self._waiting.append(asked)
        if not self._sent:
            # After the other tasks of this turn of the loop, which may add requests.
            loop.call_soon(self._send)
        return asked.answer

    def _send(self) -> None:
        if self._sent or not self._waiting or self.is_over:
            return
        while self._waiting and len(self._sent) < BATCH_REQUESTS_MAX:
            self._sent.append(self._waiting.popleft())
        batch = Batch([asked.request for asked in self._sent])
        self._writer.write(frame(msgspec.msgpack.encode(batch)))

    async def _take_answers(self) -> None:
        """Give each to who waits for it, until the socket is closed or has something else."""
        decoder = msgspec.msgpack.Decoder(Answer)
        try:
            while True:
                answer = decoder.decode(await self._read())
                if not self._sent:
                    raise ValueError("there was no request")
                asked = self._sent.popleft()
                self._answered = asked
                if isinstance(answer, Failed) and answer.ends_worker:
                    self._blame(asked, answer.reason)
                if not asked.answer.done():
                    asked.answer.set_result(answer)
                if self._fault:
                    break
                self._send()
        except (EOFError, OSError):
            self._blame(self._working, await asyncio.to_thread(self._cause))
        except ValueError:
            self._blame(self._working, GARBAGE)
        self.end()
        await asyncio.to_thread(self._process.wait)

    async def _watch(self) -> None:
        """End it when it works too long on a request, or waits for what does not come."""
        loop, most_seconds = asyncio.get_running_loop(), self._limits.request_seconds_max
        watched, begin, looks_asleep = None, CpuTime(0.0, False), 0
        while not self.is_over:
            await asyncio.sleep(LOOK_SECONDS)
            now = cpu_time.read(self._process.pid, loop.time())
            asked = self._sent[0] if self._sent else None
            if asked is None or asked is not watched:
                watched, begin, looks_asleep = asked, now, 0
                continue
            looks_asleep = looks_asleep + 1 if now.is_asleep else 0
            if now.seconds - begin.seconds > most_seconds:
                self._blame(asked, f"it has worked for more than {most_seconds:g} s")
            elif looks_asleep * LOOK_SECONDS > most_seconds:
                self._blame(asked, f"it has slept for more than {most_seconds:g} s")
            else:
                continue
            self._process.kill()

    @property
    def _working(self) -> _Asked | None:
        """Whose code runs now, or ran last."""
        return self._sent[0] if self._sent else self._answered

    def _blame(self, asked: _Asked | None, fault: str) -> None:
        if not self._fault:
            self._faulty, self._fault = asked, fault

    def _cause(self) -> str:
        """Why the socket was closed. Waits for the end of the process."""
        try:
            code = self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return "it has closed the socket of its process"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        return f"its process has ended with exit code {code}"

    def end(self) -> None:
        """Kill the process and fail all waiting requests. It may be called again."""
        self._process.kill()
        if self.is_over:
            return
        self.is_over = True
        _log.info("a process of strategies has ended", extra={"detail": self._fault or "closed"})
        self._writer.close()
        for asked in (*self._sent, *self._waiting):
            if not asked.answer.done():
                asked.answer.set_exception(self._error(asked.request))

    def _error(self, request: Request) -> Exception:
        faulty = None if self._faulty is None else self._faulty.request
        if faulty is not None and _instance(request) == _instance(faulty):
            return StrategyFault(self._fault)
        return EvaluationLost(LOST)

    async def _read(self) -> bytes:
        """Raises EOFError, OSError, and ValueError for what is no message."""
        length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "big")
        if length > ANSWER_BYTES_MAX:
            raise ValueError(f"a message of {length} bytes")
        return await self._reader.readexactly(length)


def _started(its_socket: socket.socket) -> "Popen[bytes]":
    """It has this socket, its standard error until it is restricted, and nothing else."""
    return Popen(
        [sys.executable, "-m", PROGRAM],
        stdin=its_socket.fileno(),
        stdout=subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )


def _ignore(answer: "asyncio.Future[Answer]") -> None:
    """Mark the exception as retrieved, so that asyncio logs no warning."""
    if not answer.cancelled():
        answer.exception()


def _instance(request: Request) -> object:
    """What it concerns: a file that is loaded concerns no other request."""
    return request if isinstance(request, Load | LoadAll) else request.instance
