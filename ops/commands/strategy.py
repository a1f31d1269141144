"""``./venuemesh strategy``: write, check, run, stop and explain strategies."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from google.protobuf.message import Message
from venuemesh.detector.v1 import detector_pb2, detector_pb2_grpc

from kit.strategy.loader import LoadedStrategy, StrategyFileError, load_file
from ops import gateway
from ops.arguments import add_verbs
from ops.errors import EXIT_FAILED, UsageError
from ops.output import print_json
from ops.strategy import new_file, past_command, tables
from ops.tables import console

if TYPE_CHECKING:
    Stub: TypeAlias = detector_pb2_grpc.DetectorAsyncStub

CALL_SECONDS_MAX = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    new = verbs.add_parser("new", help="write a first strategy to a file")
    new.add_argument("file", type=Path, metavar="FILE", help="to be written, as trend.py")
    check = verbs.add_parser("check", help="load a file as the detector does, which runs its code")
    check.add_argument("file", type=Path, metavar="FILE", help="a Python file")
    _add_parameters(check)
    gateway.add_verb(verbs, "list", "the strategies, what they do, and files that are wrong")
    run = gateway.add_verb(verbs, "run", "start or replace a strategy while the mesh runs")
    run.add_argument("what", metavar="FILE|NAME", help="a Python file, or a stopped strategy")
    run.add_argument("--strategy", default="", help="its name in the file, if that has several")
    run.add_argument("--as", dest="name", default="", metavar="NAME", help="run it as NAME")
    _add_parameters(run)
    stop = gateway.add_verb(verbs, "stop", "stop a strategy; it keeps its position")
    pause = gateway.add_verb(verbs, "pause", "keep a strategy from opening positions")
    resume = gateway.add_verb(verbs, "resume", "let a paused strategy open positions again")
    explain = gateway.add_verb(verbs, "explain", "what each rule says now")
    for verb in (stop, pause, resume, explain):
        verb.add_argument("name", metavar="NAME", help="as list shows it")
    signals = gateway.add_verb(verbs, "signals", "its signals over the record, as CSV or Arrow")
    signals.add_argument("file", type=Path, metavar="FILE", help="a Python file")
    signals.add_argument("--from", dest="start", metavar="TIME", help="first time; default: all")
    signals.add_argument("--to", dest="end", metavar="TIME", help="first time after the range")
    signals.add_argument("--strategy", default="", help="its name in the file, if that has several")
    signals.add_argument("--as", dest="name", default="", metavar="NAME", help="that ran as NAME")
    signals.add_argument(
        "--out", type=Path, metavar="FILE", help="to be written, .csv or .arrow; default: stdout"
    )
    _add_parameters(signals)
    explain.add_argument("--instrument", default="", metavar="VENUE/SYMBOL", help="one of its own")


def _add_parameters(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--set",
        dest="parameters",
        action="append",
        type=_parameter,
        default=[],
        metavar="NAME=VALUE",
        help="another value of a parameter of the file",
    )


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if the file has no usable strategy."""
    if chosen.verb == "new":
        new_file.write(chosen.file)
        if not chosen.json:
            console().print(f"{chosen.file}: next: ./venuemesh strategy check {chosen.file}")
        return 0
    if chosen.verb == "check":
        return _check(chosen)
    return asyncio.run(_call(chosen))


def _check(chosen: argparse.Namespace) -> int:
    try:
        found = load_file(chosen.file, dict(chosen.parameters))
    except StrategyFileError as error:
        if chosen.json:
            problem = {"line": error.line, "reason": error.reason}
            print_json({"file": str(chosen.file), "problems": [problem], "strategies": []})
        else:
            print(error)
        return EXIT_FAILED
    if chosen.json:
        rows = list(map(_described, found))
        print_json({"file": str(chosen.file), "problems": [], "strategies": rows})
        return 0
    for one in (loaded.strategy for loaded in found):
        rules, instruments = len(one.rules), ", ".join(one.instruments)
        print(f"{chosen.file}: {one.name}: {rules} rules on {one.interval} bars of {instruments}")
    print(f"next, while a mesh runs: ./venuemesh strategy run {chosen.file}")
    return 0


def _described(loaded: LoadedStrategy) -> Mapping[str, object]:
    one = loaded.strategy
    return {
        "name": one.name,
        "version": loaded.version,
        "instruments": one.instruments,
        "interval": one.interval,
        "account": one.account,
        "rules": [rule.name for rule in one.rules],
        "exits": [exit_rule.name for exit_rule in one.exits],
    }


async def _call(chosen: argparse.Namespace) -> int:
    calls: Mapping[str, Callable[[Stub, argparse.Namespace], Awaitable[None]]] = {
        "list": _list,
        "run": _run,
        "stop": _stop,
        "pause": _pause,
        "resume": _resume,
        "explain": _explain,
    }
    async with gateway.connected(gateway.require(chosen)) as channel:
        if chosen.verb == "signals":
            return await past_command.run(channel, chosen)
        await calls[chosen.verb](detector_pb2_grpc.DetectorStub(channel), chosen)
    return 0


async def _list(stub: "Stub", chosen: argparse.Namespace) -> None:
    found: list[detector_pb2.StrategyStatus] = []
    token = ""
    while True:
        request = detector_pb2.ListStrategiesRequest(page_token=token)
        answer = await stub.ListStrategies(request, timeout=CALL_SECONDS_MAX)
        found += answer.strategies
        token = answer.next_page_token
        if not token:
            break
    if chosen.json:
        print_json(detector_pb2.ListStrategiesResponse(strategies=found))
    else:
        console().print(tables.strategies(found))


async def _run(stub: "Stub", chosen: argparse.Namespace) -> None:
    request = detector_pb2.StartStrategyRequest(name=chosen.name or chosen.what)
    if chosen.what.endswith(".py"):
        file = Path(chosen.what)
        try:
            source = file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from error
        request = detector_pb2.StartStrategyRequest(
            name=chosen.name,
            file=file.name,
            source=source,
            strategy=chosen.strategy,
            parameters=dict(chosen.parameters),
        )
    elif chosen.parameters or chosen.name or chosen.strategy:
        raise UsageError("--set, --as and --strategy belong to a file: name the file to run")
    answer = await stub.StartStrategy(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        console().print(f"{answer.name} runs as version {answer.version}")
        console().print(
            f"next: ./venuemesh strategy explain {answer.name}, or Studio's room Signals"
        )


def _report(chosen: argparse.Namespace, answer: Message, text: str) -> None:
    if chosen.json:
        print_json(answer)
    else:
        console().print(text)


async def _stop(stub: "Stub", chosen: argparse.Namespace) -> None:
    request = detector_pb2.StopStrategyRequest(strategy=chosen.name)
    answer = await stub.StopStrategy(request, timeout=CALL_SECONDS_MAX)
    _report(chosen, answer, f"{chosen.name} is stopped; a position that it has is kept")


async def _pause(stub: "Stub", chosen: argparse.Namespace) -> None:
    request = detector_pb2.PauseStrategyRequest(strategy=chosen.name)
    answer = await stub.PauseStrategy(request, timeout=CALL_SECONDS_MAX)
    _report(chosen, answer, f"{chosen.name} opens no position; it still closes the one that it has")


async def _resume(stub: "Stub", chosen: argparse.Namespace) -> None:
    request = detector_pb2.ResumeStrategyRequest(strategy=chosen.name)
    answer = await stub.ResumeStrategy(request, timeout=CALL_SECONDS_MAX)
    _report(chosen, answer, f"{chosen.name} may open positions")


async def _explain(stub: "Stub", chosen: argparse.Namespace) -> None:
    venue, _, symbol = chosen.instrument.partition("/")
    request = detector_pb2.ExplainRequest(strategy=chosen.name, venue=venue, symbol=symbol)
    answer = await stub.Explain(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
        return
    console().print(tables.strategies([answer.status]))
    if answer.rules:
        console().print(tables.rules(answer))
    score = f"{answer.score:g}" if answer.HasField("score") else "not known"
    position = answer.position_size or "not known"
    has_position = answer.position_size not in ("", "0")
    may = "it opens no other one" if has_position else "it may open a position"
    reason = answer.abstains_because or may
    console().print(f"score {score}, threshold {answer.threshold:g}, position {position}: {reason}")


def _parameter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE, as fast=8")
    return name, value
