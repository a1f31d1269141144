"""Finding an exchange by its name."""

import subprocess
import sys

import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.errors import SettingError
from kit.connector.contract import discovery
from kit.connector.contract.venue import ConnectorMaturity, Environment
from kit.connector.rest import ccxt_loader
from venues.ccxt import catalog

LIVE = Environment("live", "")


@pytest.mark.parametrize("name", ["ccxt:gate", "ccxt_gate", "ccxt:gateio"])
def test_both_spellings_name_a_venue_that_is_safe_everywhere(name: str) -> None:
    venue = discovery.require(name)(LIVE)
    assert venue.venue_id == discovery.venue_id(name)
    assert venue.venue_id.isidentifier()
    assert venue.profile.maturity is ConnectorMaturity.PREVIEW
    assert not venue.book_proofs


def test_every_exchange_has_a_port_of_its_own() -> None:
    listed = {make(LIVE).port for make in discovery.venues().values()}
    names = {*ccxt_loader.streaming_ids(), *catalog.ALIASES}
    ports = [catalog.named(name)(LIVE).port for name in names]
    assert len(set(ports)) == len(names)
    assert not listed & set(ports)


def test_former_names_of_ccxt_mean_their_present_names() -> None:
    assert set(catalog.ALIASES.values()) <= set(ccxt_loader.streaming_ids())
    assert not set(catalog.ALIASES) & set(ccxt_loader.streaming_ids())


@pytest.mark.parametrize("name", ["ccxt:nowhere", "ccxt:", "ccxt:../x", "nowhere"])
def test_an_unknown_name_is_rejected_with_those_that_are_known(name: str) -> None:
    with pytest.raises(SettingError, match=r"gate|binance"):
        discovery.require(name)


@pytest.mark.parametrize(
    "options",
    [{"config": "no json"}, {"config": "[]"}, {"depth": "0"}, {"depth": "x"}, {"trade_ids": "y"}],
)
def test_a_wrong_option_is_rejected(options: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=r"venues\.ccxt_gate\.options"):
        discovery.require("ccxt:gate")(Environment("live", "", options))


def test_an_exchange_without_a_simulator_needs_the_world_live() -> None:
    with pytest.raises(SettingError, match="urls"):
        discovery.require("ccxt:gate")(Environment("simulate", ""))


def test_channels_are_those_that_ccxt_has() -> None:
    channels = discovery.require("ccxt:coinbase")(LIVE).channels
    assert types_pb2.CHANNEL_BOOK in channels
    assert types_pb2.CHANNEL_QUOTES not in channels


def test_ccxt_is_not_loaded_before_a_venue_runs() -> None:
    program = (
        "import sys; from kit.connector.contract import discovery\n"
        "from kit.connector.contract.venue import Environment\n"
        "discovery.require('ccxt:gate')(Environment('live', ''))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'ccxt']\n"
        "venue = discovery.require('ccxt:gate')(Environment('live', '')).channels\n"
        "loaded = [name for name in sys.modules if name.startswith('ccxt.pro.')]\n"
        "assert loaded == ['ccxt.pro.gate'], loaded\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
