"""Attacks of who has a token of a person or of a process: each gets its own, and no more."""

import json
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import grpc
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from kit.base.access.roles import Role
from tests.integration.mesh import CALL_SECONDS_MAX, VENUE, shown_channel
from tests.integration.under_attack import UnderAttack, answers, attacking, code_of

pytestmark = pytest.mark.integration

READERS_MAX = 300
DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def attacked() -> Iterator[UnderAttack]:
    with attacking() as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "claimed"),
    [
        ("venue", {"name": "kraken"}),
        ("venue", {"grpc_services": ["venuemesh.access.v1.Tokens"]}),
        ("bars", {"grpc_services": ["venuemesh.history.v1.History"]}),
    ],
)
def test_no_process_takes_the_calls_of_another(attacked, kind, claimed):
    service_id = {"venue": VENUE, "bars": "bars"}[kind]
    instance = {"service_id": service_id, "kind": kind, "name": service_id, **claimed}
    request = registry_pb2.RegisterRequest(
        instance=registry_pb2.ServiceInstance(
            **instance, address="127.0.0.1:9", instance_id="other", start_time_ns=1
        )
    )
    with shown_channel(attacked.port("registry"), attacked.of_process(service_id, kind)) as channel:
        stub = registry_pb2_grpc.RegistryStub(channel)
        code = code_of(lambda: stub.Register(request, timeout=CALL_SECONDS_MAX))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_only_the_inspector_and_persons_post_to_the_ledger(attacked):
    request = ledger_pb2.PostTransfersRequest()
    for token, code in (
        (attacked.of_process(VENUE, "venue"), DENIED),
        (attacked.token(Role.TRADER), DENIED),
        (attacked.of_process("inspector", "inspector"), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with shown_channel(attacked.port("ledger"), token) as channel:
            stub = ledger_pb2_grpc.LedgerStub(channel)
            call = partial(stub.PostTransfers, request, timeout=CALL_SECONDS_MAX)
            assert code_of(call) is code


def readers(open_one: Callable[[], Iterator[object]]) -> list[Iterator[object]]:
    """As many streams as a caller gets, each with its first message."""
    found = []
    with suppress(grpc.RpcError):
        while len(found) < READERS_MAX:
            found.append(open_one())
            next(found[-1])
    return found


def test_readers_leave_room_for_the_processes(attacked):
    """Somebody who may only read takes all that there is; a process still finds room."""
    watch, trades = registry_pb2.WatchRequest(), market_data_pb2.SubscribeRequest(venue=VENUE)
    trades.channels.append(types_pb2.CHANNEL_TRADES)
    for service, stub_of, method, request in (
        ("registry", registry_pb2_grpc.RegistryStub, "Watch", watch),
        (VENUE, market_data_pb2_grpc.MarketDataStub, "Subscribe", trades),
    ):
        viewer, process = attacked.token(Role.VIEWER), attacked.of_process("bridge", "bridge")
        address = attacked.port(service)
        with shown_channel(address, viewer) as taken, shown_channel(address, process) as own:
            call = getattr(stub_of(taken), method)
            held = readers(lambda call=call, request=request: call(request))
            assert 8 < len(held) < READERS_MAX
            mine = getattr(stub_of(own), method)(request, timeout=CALL_SECONDS_MAX)
            assert next(mine)
            for one in (*held, mine):
                one.cancel()


def test_each_call_that_changes_something_is_in_the_log_of_all_events(attacked):
    """Also of somebody who has told the process to log nothing."""
    made = {
        f"/v1/services/{VENUE}:setLogLevel": ({"level": "error"}, "OK"),
        "/v1/services/recorder:setLogLevel": ({"level": "none"}, "BAD_REQUEST"),
        "/v1/inspector/modes": ({"scope": "mesh"}, "BAD_REQUEST"),
        "/v1/tokens": ({"caller": "new", "roles": ["ROLE_VIEWER"]}, "OK"),
    }
    for place, (path, (body, _)) in enumerate(made.items()):
        answers(attacked, path, body, X_Request_Id=f"attack-{place}")
    answers(attacked, f"/v1/services/{VENUE}:setLogLevel", {"level": "info"})
    wanted = {f"attack-{place}": outcome for place, (_, outcome) in enumerate(made.values())}

    def noted() -> dict[str, str]:
        path = "/v1/events?stream=EVENT_STREAM_SYSTEM&page_size=1000"
        _, text = answers(attacked, path, token=attacked.token(Role.VIEWER))
        events = [one["event"] for one in json.loads(text)["events"]]
        calls = [event["call_made"] for event in events if "call_made" in event]
        return {call["request_id"]: call["outcome"] for call in calls}

    attacked.mesh.wait_until(lambda: wanted.keys() <= noted().keys(), "the calls are events")
    assert wanted.items() <= noted().items()


def test_other_users_of_the_machine_read_nothing(attacked):
    data = attacked.mesh.data
    # Where PostgreSQL runs as another user, that one may pass.
    assert not data.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IRGRP)
    files = [
        one for name in ("logs", "envoy", "orders", "valkey") for one in (data / name).rglob("*")
    ]
    assert {one.name for one in files} >= {"envoy.log", "bootstrap.json"}
    assert [one for one in (*files, data / "state.json") if one.stat().st_mode & 0o077] == []
