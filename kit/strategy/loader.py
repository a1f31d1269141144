"""Loads strategies from Python files. A file is code: whoever can write it can do what the process
can."""

import hashlib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from kit.strategy.parameters import given
from kit.strategy.strategy import Strategy

FILES = "*.py"
NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


class StrategyFileError(Exception):
    """A file that has no usable strategy."""

    def __init__(self, file: Path, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line
        """From 1."""
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LoadedStrategy:
    """A strategy, and where it comes from."""

    strategy: Strategy
    version: str
    """SHA-256 of its file and parameters, hexadecimal."""
    file: Path


@dataclass(frozen=True, slots=True)
class StrategyFolder:
    """What the files of a folder have. A wrong one does not keep the others from being used."""

    strategies: Sequence[LoadedStrategy]
    errors: Sequence[StrategyFileError]


def load_folder(folder: Path) -> StrategyFolder:
    """The strategies of all files of a folder, by name. Raises OSError for one that is not
    there."""
    files = sorted(file for file in folder.iterdir() if file.match(FILES))
    found: dict[str, LoadedStrategy] = {}
    errors: list[StrategyFileError] = []
    for file in files:
        try:
            for loaded in load_file(file):
                name = loaded.strategy.name
                known = found.setdefault(name, loaded)
                if known is not loaded:
                    reason = f"{known.file.name} has a strategy of the name {name!r} already"
                    raise StrategyFileError(file, 1, reason)
        except StrategyFileError as error:
            errors.append(error)
    return StrategyFolder([found[name] for name in sorted(found)], errors)


def load_file(file: Path, parameters: Mapping[str, str] = NO_PARAMETERS) -> list[LoadedStrategy]:
    """The strategies of a file: those that are values of its names. Raises StrategyFileError."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StrategyFileError(file, 1, error.strerror or str(error)) from error
    return load_source(file, content, parameters)


def load_source(
    file: Path, content: bytes, parameters: Mapping[str, str] = NO_PARAMETERS
) -> list[LoadedStrategy]:
    """As ``load_file``, of the content of a file, which need not be there."""
    names: dict[str, object] = {"__name__": f"strategy_{file.stem}", "__file__": str(file)}
    try:
        with given(parameters):
            exec(compile(content, str(file), "exec"), names)
    except SyntaxError as error:
        raise StrategyFileError(file, error.lineno or 1, error.msg) from error
    except (Exception, SystemExit) as error:
        raise StrategyFileError(file, line_in(file, error), _reason(error)) from error
    version = version_of(content, parameters)
    found = {id(value): value for value in names.values() if isinstance(value, Strategy)}
    if not found:
        reason = "no name of the file is a Strategy: write NAME = Strategy(…)"
        raise StrategyFileError(file, 1, reason)
    strategy_names = [strategy.name for strategy in found.values()]
    twice = next((one for one in strategy_names if strategy_names.count(one) > 1), None)
    if twice is not None:
        raise StrategyFileError(file, 1, f"two strategies of the file have the name {twice!r}")
    return [LoadedStrategy(strategy, version, file) for strategy in found.values()]


def load_instance(
    file: Path, content: bytes, parameters: Mapping[str, str], strategy: str, instance: str
) -> LoadedStrategy:
    """One strategy of a file under a name of its own. ``strategy``: its name in the file; empty:
    the only one. ``instance``: empty: the name in the file. Raises StrategyFileError."""
    found = {one.strategy.name: one for one in load_source(file, content, parameters)}
    names = ", ".join(sorted(found))
    if not strategy and len(found) > 1:
        raise StrategyFileError(file, 1, f"the file has several strategies, name one: {names}")
    chosen = next(iter(found.values())) if not strategy else found.get(strategy)
    if chosen is None:
        raise StrategyFileError(file, 1, f"the file has no strategy {strategy!r}; it has: {names}")
    try:
        named = replace(chosen.strategy, name=instance or chosen.strategy.name)
    except ValueError as error:
        raise StrategyFileError(file, 1, str(error)) from error
    return replace(chosen, strategy=named)


def version_of(content: bytes, parameters: Mapping[str, str]) -> str:
    """SHA-256 of a file, and of the values of its parameters if any are given, hexadecimal."""
    digest = hashlib.sha256(content)
    for name, value in sorted(parameters.items()):
        for part in (name, value):
            digest.update(len(part.encode()).to_bytes(4, "big") + part.encode())
    return digest.hexdigest()


def line_in(file: Path, error: BaseException) -> int:
    """The line of the file at which it went wrong."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file) and frame.lineno]
    return lines[-1] if lines else 1


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
