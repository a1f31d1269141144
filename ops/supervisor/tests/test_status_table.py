"""The overview of a mesh."""

import os

import pytest
from rich.console import Console
from venuemesh.registry.v1 import registry_pb2

from ops.supervisor import status_table
from ops.supervisor.display import LASTING_SECONDS, LineDisplay, PersistentProblems
from ops.supervisor.service_rows import rows
from ops.supervisor.state import ChildState


def child(service: str, state: str = "running", **more) -> ChildState:
    values = {"detail": "", "since": 1000.0, "restarts": 0, "pid": None} | more
    return ChildState(service=service, state=state, **values)


def registered(service_id: str) -> registry_pb2.Service:
    return registry_pb2.Service(
        instance=registry_pb2.ServiceInstance(service_id=service_id, start_time_ns=10**9),
        status=registry_pb2.ServiceStatus(
            state=registry_pb2.SERVICE_STATE_DEGRADED,
            detail="no database",
            events_per_second=1234.5,
            gaps_total=3,
            memory_bytes=5,
        ),
    )


def test_the_state_of_a_running_process_comes_from_the_registry():
    found = rows([child("bars", restarts=2, pid=os.getpid())], {"bars": registered("bars")})
    assert [row.service for row in found] == ["bars"]
    assert (found[0].state, found[0].detail) == ("degraded", "no database")
    assert (found[0].events_per_second, found[0].gaps_total) == (1234.5, 3)
    assert (found[0].restarts, found[0].since) == (2, 1000.0)
    assert found[0].memory_bytes > 1_000_000


def test_the_state_of_a_dead_process_does_not_come_from_the_registry():
    dead = child("bars", "restarting", detail="killed by signal 9")
    found = rows([dead], {"bars": registered("bars")})
    assert (found[0].state, found[0].detail) == ("restarting", "killed by signal 9")
    assert found[0].events_per_second is None


def test_services_of_others_are_listed_after_ours():
    found = rows([child("valkey")], {"kraken": registered("kraken")})
    assert [row.service for row in found] == ["valkey", "kraken"]
    assert found[1].since == 1.0


def test_the_table_holds_the_figures():
    found = rows([child("bars", restarts=2)], {"bars": registered("bars")})
    console = Console(width=120)
    with console.capture() as shown:
        console.print(status_table.render("Venuemesh", found, now=1125.0))
    text = shown.get()
    for part in ("Venuemesh", "bars", "degraded", "2m05s", "1,234", "no database"):
        assert part in text


def test_why_a_process_restarts_is_shown_in_full_on_a_narrow_terminal():
    why = "ended with code 1: ModuleNotFoundError: No module named 'venuemesh.registry'"
    found = rows([child("registry", "restarting", detail=why)], {})
    console = Console(width=80)
    with console.capture() as shown:
        console.print(status_table.render("Venuemesh", found, now=1001.0))
    assert why in " ".join(shown.get().split())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (59.9, "59s"), (185, "3m05s"), (7620, "2h07m"), (356_400, "4d03h")],
)
def test_durations(seconds: float, text: str):
    assert status_table.duration(seconds) == text


def test_lines_are_printed_once_and_only_for_lasting_states(capsys: pytest.CaptureFixture[str]):
    lines = LineDisplay("Venuemesh", "127.0.0.1:1")
    lines.changed([child("bars", "starting")])
    lines.changed([child("bars", "running")])
    lines.changed([child("bars", "running")])
    lines.changed([child("bars", "restarting", detail="killed by signal 9")])
    lines.changed([child("bars", "running")])
    printed = [line.partition("bars ")[2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert printed == ["running", "restarting (killed by signal 9)", "running"]


def test_a_problem_that_lasts_is_reported_once_and_again_when_it_is_another():
    problems, service = PersistentProblems(), registered("bars")
    found = {"bars": service}
    assert problems.new(found, 100.0) == []
    assert problems.new(found, 100.0 + LASTING_SECONDS - 0.1) == []
    (line,) = problems.new(found, 100.0 + LASTING_SECONDS)
    assert line.endswith(" bars degraded: no database")
    assert problems.new(found, 200.0) == []
    service.status.detail = "no stream"
    assert problems.new(found, 201.0) == []
    (line,) = problems.new(found, 201.0 + LASTING_SECONDS)
    assert line.endswith(" bars degraded: no stream")


def test_a_problem_that_passes_is_not_reported():
    problems, service = PersistentProblems(), registered("bars")
    problems.new({"bars": service}, 100.0)
    problems.new({}, 101.0)
    assert problems.new({"bars": service}, 100.0 + LASTING_SECONDS) == []
