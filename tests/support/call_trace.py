"""Records which functions of the product run, and for which part of the mesh."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
PRODUCT_FOLDERS = ("kit", "venues", "core", "gateway", "ops")

_start = threading.Thread.start
_part: ContextVar[str] = ContextVar("part", default="")


class Call(NamedTuple):
    """A function of the product, and the part of the mesh for which it ran."""

    part: str
    file: str
    """Relative to the repository's folder."""
    function: str
    """Qualified; a comprehension, lambda or nested function counts as the function around it."""


class CallTrace:
    """Records the functions that run in any thread, in the order of their first calls.

    Threads that start after ``installed`` was entered are traced. Parts of the mesh may share one
    event loop: a task, a callback or a thread belongs to the part in whose ``part`` it was created.
    """

    def __init__(self) -> None:
        self.calls: dict[Call, None] = {}
        self._is_recording = False
        self._known: dict[CodeType, tuple[str, str] | None] = {}

    @contextmanager
    def installed(self) -> Iterator["CallTrace"]:
        """Trace calls; nothing is kept yet."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        try:
            with patch.object(threading.Thread, "start", _start_in_part):
                yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record calls within the context."""
        self._is_recording = True
        try:
            yield
        finally:
            self._is_recording = False

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Tasks and threads created within the context belong to this part of the mesh."""
        token = _part.set(name)
        try:
            yield
        finally:
            _part.reset(token)

    def functions(self, part: str) -> dict[str, list[str]]:
        """The functions that ran for a part, by file."""
        found: dict[str, list[str]] = {}
        for call in self.calls:
            if call.part == part:
                found.setdefault(call.file, []).append(call.function)
        return found

    def table(self) -> str:
        """All recorded functions by part and file, to look up when a documented path differs."""
        lines: list[str] = []
        for part in dict.fromkeys(call.part for call in self.calls):
            found = self.functions(part)
            lines.append(f"{part or 'the test itself'}: {len(found)} files")
            lines += [f"    {file}: {', '.join(names)}" for file, names in found.items()]
        return "\n".join(lines)

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call" or not self._is_recording:
            return
        code = frame.f_code
        if code not in self._known:
            self._known[code] = _place_of(code)
        place = self._known[code]
        if place is not None:
            self.calls[Call(_part.get(), *place)] = None


def _start_in_part(thread: threading.Thread) -> None:
    """Start a thread in the part of its creator; a thread has a separate context."""
    thread.run = partial(copy_context().run, thread.run)  # type: ignore[method-assign]
    _start(thread)


def _place_of(code: CodeType) -> tuple[str, str] | None:
    """File and function of a code object; None when it is not the product's."""
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT):
        return None
    file = path.relative_to(ROOT)
    if file.parts[0] not in PRODUCT_FOLDERS or "tests" in file.parts:
        return None
    function = code.co_qualname.partition(".<locals>")[0]
    return file.as_posix(), function.partition(".<")[0]
