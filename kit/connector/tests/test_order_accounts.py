"""Which accounts a venue's process has, in which world, and who may approve their orders."""

import asyncio
from dataclasses import replace

import pytest
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import SystemClock
from kit.base.errors import ApprovalRejected, SettingError
from kit.base.settings import MeshSettings
from kit.base.telemetry import Meter
from kit.connector.contract.venue import Environment
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.process import app
from kit.connector.process.order_accounts import no_credentials, venue_accounts
from kit.connector.process.settings import VenueSettings
from kit.connector.publishing.feed_handler import FeedHandler
from kit.execution.approval.keys import INSPECTOR_KEY_ID, inspector_key
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.paper.execution_client import PaperExecutionClient
from kit.execution.settings import OrdersSettings
from tests.support.waiting import WAIT_SECONDS_MAX
from venues.binance import catalog


class Runtime:
    """Takes note of what is to be served."""

    def __init__(self):
        self.servicer = None
        self.meter = Meter("binance")
        self.tasks = []

    def serve(self, file, name, servicer):
        self.servicer = servicer

    def run_task(self, name, task):
        self.tasks.append(name)

    def at_end(self, finish):
        self.finish = finish


@pytest.fixture
def trading(tmp_path, monkeypatch):
    """Makes the accounts of a world."""
    monkeypatch.setenv("VENUEMESH_BINANCE_MAIN_API_KEY", "key")
    monkeypatch.setenv("VENUEMESH_BINANCE_MAIN_SECRET", "secret")

    def make(world, instance="", **settings):
        clock, meter = SystemClock(), Meter("binance")
        mesh = MeshSettings(world=world, data_dir=str(tmp_path))
        venue = catalog.spot(Environment(world, "http://127.0.0.1:1"))
        if world != "live":
            venue = replace(venue, execution_client=None)
        return venue_accounts(
            FeedHandler.of(venue, meter, clock),
            mesh,
            VenueSettings(instance=instance, port=1),
            OrdersSettings(**settings),
            no_credentials,
        )

    return make


def served(made):
    runtime = Runtime()
    made.serve(runtime)
    return runtime


async def test_a_replay_has_an_account_on_paper(trading):
    found = trading("replay")
    assert list(found.by_name) == ["paper"]
    assert found.by_name["paper"].message().paper
    assert served(found).tasks == ["prices", "paper paper", "account paper", "files of orders"]


async def test_live_has_those_that_are_named_and_of_each_kind_its_own_desk(trading):
    assert not trading("live").by_name
    found = trading("live", accounts=("binance/main",), paper_accounts=("binance/try", "okx/x"))
    assert sorted(found.by_name) == ["main", "try"]
    main, paper = found.by_name["main"], found.by_name["try"]
    assert isinstance(main.client, CcxtExecutionClient)
    assert isinstance(paper.client, PaperExecutionClient)
    assert (main.message().paper, paper.message().paper) == (False, True)
    await main.client.close()


async def test_own_key_signs_for_paper_and_not_by_itself_for_a_real_account(trading, tmp_path):
    found = trading("live", accounts=("binance/main",), paper_accounts=("binance/try",))
    scope, key = MeshScope("local", "live"), inspector_key(tmp_path)
    signer = ApprovalSigner(INSPECTOR_KEY_ID, key, 1, scope)
    content = orders_pb2.OrderContent(venue="binance", account="try", symbol="BTCUSDT", size="1")
    approved = signer.approve(content, "r", 1)
    found.by_name["try"].verifier.verify(approved, 0)
    with pytest.raises(ApprovalRejected) as refused:
        found.by_name["main"].verifier.verify(approved, 0)
    assert refused.value.metadata["why"] == "unknown_key"
    assert found.by_name["main"].verifier._find_key(INSPECTOR_KEY_ID) is None
    await found.by_name["main"].client.close()


async def test_without_an_account_on_paper_live_makes_no_key(trading, tmp_path):
    found = trading("live", accounts=("binance/main",))
    served(found)
    assert not (tmp_path / "keys").exists()
    await found.by_name["main"].client.close()


async def test_of_two_processes_one_has_the_accounts(trading):
    assert not trading("replay", instance="b").by_name


def test_an_account_is_real_or_on_paper():
    with pytest.raises(SettingError, match="paper_accounts"):
        OrdersSettings(accounts=("binance/x",), paper_accounts=("binance/x",))


@pytest.mark.parametrize(
    "settings",
    [
        {"paper_fees": ("binance:0.1",)},
        {"paper_fees": ("binance:1:0",)},
        {"paper_fees": ("binance:x:0",)},
        {"paper_balances": ("USDT",)},
        {"paper_balances": ("USDT:-1",)},
        {"paper_balances": ("USDT:1e99",)},
        {"paper_balances": (":1",)},
        {"paper_leverage": 0},
        {"paper_latency_ms": -1},
        {"paper_accounts": ("binance",)},
    ],
)
def test_settings_that_make_no_sense_are_refused(trading, settings):
    with pytest.raises(SettingError):
        trading("replay", **settings)


async def test_fees_and_balances_are_as_set(trading):
    found = trading("replay", paper_fees=("binance:-0.0001:0.0002",), paper_balances=("USDT:5",))
    running = asyncio.create_task(found.paper_clients["paper"].run())
    balances = await asyncio.wait_for(found.paper_clients["paper"].balances(), WAIT_SECONDS_MAX)
    assert [(one.asset, str(one.total)) for one in balances] == [("USDT", "5")]
    fees = found.paper_clients["paper"].exchange.wallet._rules.fee_schedule
    assert (str(fees.maker), str(fees.taker)) == ("-0.0001", "0.0002")
    running.cancel()


def test_venue_process_limits_its_requests(monkeypatch):
    places = []
    monkeypatch.setattr(app, "run_process", lambda service_id, mesh, serve: 0)
    monkeypatch.setattr(app.discovery, "venue_id", lambda name: name)
    monkeypatch.setattr(app.discovery, "require", lambda venue_id: places.append)
    assert app.main("binance") == 0
    (place,) = places
    budget = catalog.spot(place).request_budget
    assert budget is not None
    assert catalog.spot(Environment("live", "")).request_budget is None
