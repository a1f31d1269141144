"""Who may order faults."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.base.access.authority import FOLDER, PUBLIC_FILE, Authority
from kit.base.access.call_guard import CallGuard
from kit.base.access.local_tokens import command_token, process_token
from kit.base.access.roles import Role
from kit.base.access.tokens import MeshNames, TokenVerifier
from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.simulator.control_access import ControlAccess
from kit.simulator.tests.running import Client, running
from tests.support.waiting import WAIT_SECONDS_MAX

FAULT = {"venue": "fake", "fault": "drop", "symbol": "NEVER"}
OK, UNAUTHENTICATED, DENIED = 200, 401, 403


def access_to(folder: Path) -> ControlAccess:
    clock = SystemClock()
    verifier = TokenVerifier(MeshNames("m1"), clock)
    guard = CallGuard(verifier, clock, required=True, streams_max=1)
    return ControlAccess(guard, folder / FOLDER / PUBLIC_FILE, clock)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    Authority(tmp_path / FOLDER, SystemClock())
    async with running(access=access_to(tmp_path)) as opened:
        yield opened


async def statuses(client: Client, token: str) -> tuple[int, int, int]:
    """Of reading, of ordering and of clearing faults."""
    url, headers = client.base + "/faults", {"Authorization": f"Bearer {token}"} if token else {}
    found = []
    for verb, body in (("get", None), ("post", FAULT), ("delete", None)):
        async with client.session.request(verb, url, json=body, headers=headers) as response:
            found.append(response.status)
            answer = await response.json()
            assert response.status == OK or answer["reason"].startswith(("TOKEN_", "ROLE_"))
    read, ordered, cleared = found
    return read, ordered, cleared


@pytest.mark.parametrize(
    ("roles", "allowed"),
    [
        ([Role.VIEWER], (OK, DENIED, DENIED)),
        ([Role.TRADER], (OK, DENIED, DENIED)),
        ([Role.OPERATOR], (OK, OK, OK)),
        ([Role.ADMIN], (OK, OK, OK)),
    ],
)
async def test_only_an_operator_orders_faults(roles, allowed, client: Client, tmp_path: Path):
    assert await statuses(client, command_token(tmp_path, "m1", roles)) == allowed


async def test_without_a_valid_token_nothing_is_ordered(client: Client, tmp_path: Path):
    operator = command_token(tmp_path, "m1", [Role.OPERATOR])
    other_mesh = command_token(tmp_path, "m2", [Role.ADMIN])
    for token in ("", "garbage", operator[:-4] + "AAAA", other_mesh):
        assert await statuses(client, token) == (UNAUTHENTICATED,) * 3
    # A process reads what any process may read.
    venue = process_token(tmp_path, "m1", "binance", "venue")
    assert await statuses(client, venue) == (OK, DENIED, DENIED)


async def test_keys_that_come_later_are_accepted(tmp_path: Path):
    async with running(access=access_to(tmp_path)) as client:
        Authority(tmp_path / FOLDER, SystemClock())
        token = command_token(tmp_path, "m1", [Role.OPERATOR])
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while (found := await statuses(client, token)) != (OK, OK, OK):
                assert UNAUTHENTICATED in found


async def test_accounts_are_read_with_a_token_only(client: Client, tmp_path: Path):
    viewer = command_token(tmp_path, "m1", [Role.VIEWER])
    for token, expected in ((viewer, OK), ("garbage", UNAUTHENTICATED)):
        headers = {"Authorization": f"Bearer {token}"}
        assert (await client.get("/accounts", headers=headers))[0] == expected


async def test_what_the_exchanges_serve_needs_no_token(client: Client):
    assert (await client.get("/status"))[0] == OK
    assert (await client.get("/fake/api/time"))[0] == OK


def test_a_damaged_file_of_keys_is_named(tmp_path: Path):
    file = tmp_path / FOLDER / PUBLIC_FILE
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(SettingError, match=PUBLIC_FILE):
        access_to(tmp_path)
