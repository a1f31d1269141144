"""The targets that Prometheus reads."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from venuemesh.registry.v1 import registry_pb2

from ops.prometheus.targets import EXIT_USAGE, ScrapeTargets, follow, main

SERVING = registry_pb2.SERVICE_STATE_SERVING
LOST = registry_pb2.SERVICE_STATE_LOST


def service(
    service_id: str, state: "registry_pb2.ServiceState.ValueType" = SERVING
) -> registry_pb2.Service:
    return registry_pb2.Service(
        instance=registry_pb2.ServiceInstance(
            service_id=service_id,
            kind="venue",
            name=service_id,
            metrics_address=f"{service_id}:15060",
        ),
        status=registry_pb2.ServiceStatus(state=state),
    )


class Watched:
    """A directory that returns these lists, one after another, and ends."""

    def __init__(self, lists: Sequence[Sequence[registry_pb2.Service]]) -> None:
        self._lists = lists

    async def watch(self, kind: str = "") -> AsyncIterator[Sequence[registry_pb2.Service]]:
        for services in self._lists:
            yield services


def ids(content: list[dict[str, dict[str, str]]]) -> list[str]:
    return [target["labels"]["service_id"] for target in content]


def test_a_target_says_where_and_who() -> None:
    assert ScrapeTargets().update([service("binance")]) == [
        {
            "targets": ["binance:15060"],
            "labels": {"service_id": "binance", "kind": "venue", "name": "binance"},
        }
    ]


def test_who_says_good_bye_is_taken_out() -> None:
    targets = ScrapeTargets()
    targets.update([service("binance"), service("bybit")])
    assert ids(targets.update([service("bybit")])) == ["bybit"]


def test_who_is_lost_stays_until_it_is_back_and_leaves() -> None:
    targets = ScrapeTargets()
    targets.update([service("binance", LOST)])
    assert ids(targets.update([])) == ["binance"]
    assert ids(targets.update([service("binance")])) == ["binance"]
    assert ids(targets.update([])) == []


async def test_the_file_follows_the_registry(tmp_path: Path) -> None:
    file = tmp_path / "prometheus" / "targets.json"
    await follow(Watched([[service("binance")], [service("binance"), service("bars")]]), file)
    assert ids(json.loads(file.read_text())) == ["bars", "binance"]
    assert [path.name for path in file.parent.iterdir()] == ["targets.json"]


async def test_the_file_is_written_only_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "targets.json"

    class Unchanged:
        async def watch(self, kind: str = "") -> AsyncIterator[Sequence[registry_pb2.Service]]:
            yield [service("binance")]
            file.unlink()
            yield [service("binance")]

    await follow(Unchanged(), file)
    assert not file.exists()


def test_without_a_file_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == EXIT_USAGE
    assert "FILE" in capsys.readouterr().err
