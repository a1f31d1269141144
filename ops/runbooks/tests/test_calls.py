"""The calls in the runbooks can be made: the contracts have these methods, fields and paths."""

import json
import re
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

ROOT = Path(__file__).resolve().parents[3]
RUNBOOKS = sorted((ROOT / "ops" / "runbooks").glob("*.md"))
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
METHOD = re.compile(r"(venuemesh\.\w+\.v1\.\w+)/(\w+)")
BODY = re.compile(r"-d (?:'([^']*)'|\"((?:[^\"\\]|\\.)*)\")")
REST = re.compile(r"http://(?:\$MESH|127\.0\.0\.1:8081)(/v1/[^\s\"'?|]*)")
VALUES = {"$VENUE": "binance", "$SYMBOL": "BTCUSDT"}

Pool = descriptor_pool.DescriptorPool


@pytest.fixture(scope="module")
def contracts() -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString((ROOT / "gen/venuemesh.binpb").read_bytes())


@pytest.fixture(scope="module")
def pool(contracts: descriptor_pb2.FileDescriptorSet) -> Pool:
    pool = Pool()
    for file in contracts.file:
        pool.Add(file)
    return pool


def commands(runbook: Path) -> list[str]:
    """The commands of a page, one line each, with the variables filled in."""
    text = "\n".join(BLOCK.findall(runbook.read_text())).replace("\\\n", " ")
    for name, value in VALUES.items():
        text = text.replace(name, value)
    return [line for line in text.splitlines() if line.strip()]


def body_of(command: str) -> str:
    found = BODY.search(command)
    return (found[1] or found[2].replace('\\"', '"')) if found else "{}"


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda runbook: runbook.name)
def test_grpc_calls_fit_the_contracts(runbook: Path, pool: Pool) -> None:
    for command in commands(runbook):
        for service, method in METHOD.findall(command):
            request = pool.FindServiceByName(service).methods_by_name[method].input_type
            message = message_factory.GetMessageClass(request)()
            assert json_format.ParseDict(json.loads(body_of(command)), message) is message


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda runbook: runbook.name)
def test_rest_calls_fit_the_contracts(
    runbook: Path, contracts: descriptor_pb2.FileDescriptorSet
) -> None:
    patterns = set(rest_patterns(contracts))
    asked = {
        ("POST" if "-X POST" in command else "GET", path)
        for command in commands(runbook)
        for path in REST.findall(command)
    }
    unknown = {call for call in asked if not any(fits(call, pattern) for pattern in patterns)}
    assert not unknown


def test_there_are_calls() -> None:
    found = "\n".join(command for runbook in RUNBOOKS for command in commands(runbook))
    assert len(METHOD.findall(found)) > 15
    assert len(REST.findall(found)) > 15


def rest_patterns(contracts: descriptor_pb2.FileDescriptorSet) -> list[tuple[str, str]]:
    """Verb and path of every method that has REST; the path as a regular expression."""
    rules = [
        method.options.Extensions[annotations_pb2.http]
        for file in contracts.file
        for service in file.service
        for method in service.method
    ]
    return [
        (verb.upper(), re.sub(r"\\{\w+\\}", "[^/:]+", re.escape(getattr(rule, verb))))
        for rule in rules
        if (verb := rule.WhichOneof("pattern")) is not None
    ]


def fits(call: tuple[str, str], pattern: tuple[str, str]) -> bool:
    return call[0] == pattern[0] and re.fullmatch(pattern[1], call[1]) is not None
