"""Which venues there are."""

import pytest

from kit.connector.contract import discovery
from kit.simulator import demo_accounts
from ops import cli
from ops.commands import up
from ops.venues import known_ports


def test_a_venue_that_is_listed_nowhere_is_known_by_its_name():
    listed = known_ports()
    assert "ccxt_gate" not in listed
    assert known_ports(["ccxt:gate", "binance", "nope"]).keys() - listed.keys() == {"ccxt_gate"}


def test_up_takes_both_spellings_for_one_venue():
    chosen = cli.parsed("up", ["--venues", "ccxt:gate, ccxt_gate,binance"])
    mesh = up.MeshSettings()
    assert up._options(chosen, mesh, ["binance"]).venues == ("ccxt_gate", "binance")


def test_a_venue_is_run_on_its_port_or_another_one(monkeypatch: pytest.MonkeyPatch):
    ran: list[tuple[str, int]] = []

    def main(name: str, port: int, simulated_credentials: object) -> int:
        assert simulated_credentials is demo_accounts.credentials
        ran.append((name, port))
        return 0

    monkeypatch.setattr("kit.connector.process.app.main", main)
    cli.main(["venue", "ccxt:gate"])
    cli.main(["venue", "binance", "--port", "5300"])
    assert ran == [("ccxt:gate", 0), ("binance", 5300)]
    assert [discovery.venue_id(name) for name, _ in ran] == ["ccxt_gate", "binance"]
