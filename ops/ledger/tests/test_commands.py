"""The command ``ledger``, with a real ledger."""

import asyncio
import json

import pytest
from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc

from core.ledger.postings import message_of
from core.ledger.tests.postings import deposit
from core.ledger.tests.process import ledger_process
from kit.base import rpc
from ops import cli


@pytest.fixture
async def where(postgres_url, valkey_url):
    """The options that name the ledger."""
    process = ledger_process(postgres_url, valkey_url)
    process.start()
    request = ledger_pb2.PostTransfersRequest(
        groups=[message_of(deposit(f"g{number}")) for number in range(3)]
    )
    async with rpc.channel(process.address) as channel:
        stub = ledger_pb2_grpc.LedgerStub(channel)
        await stub.PostTransfers(request, wait_for_ready=True, timeout=30)
    yield ("--gateway", f"http://{process.address}", "--token", "t")
    process.kill()


async def command(*words: str) -> int:
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(cli.main, ["ledger", *words])


async def test_the_ledger_is_read_verified_and_exported(where, capsys, tmp_path):
    assert await command("balances", "--code", "cash", "--json", *where) == 0
    (found,) = json.loads(capsys.readouterr().out)["balances"]
    assert found["balance"] == "3"
    statement = ("statement", "cash", "binance", "main", "USDT")
    assert await command(*statement, "--json", *where) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [one["balance"] for one in entries] == ["1", "2", "3"]
    assert await command(*statement, *where) == 0
    assert "g2" in capsys.readouterr().out
    for words in (("balances",), ("equity",), ("trial-balance",)):
        assert await command(*words, *where) == 0
        assert "USDT" in capsys.readouterr().out
    assert await command("profit", "--by", "strategy", *where) == 0
    assert await command("verify", *where) == 0
    assert "3 groups with 6 entries: correct" in capsys.readouterr().out
    for kind in ("csv", "parquet", "beancount"):
        path = tmp_path / f"all.{kind}"
        assert await command("export", str(path), *where) == 0
        assert path.stat().st_size
    assert "g2" in (tmp_path / "all.csv").read_text()
