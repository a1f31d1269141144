"""The table of ports."""

import socket

import pytest

from ops import ports
from ops.errors import OperationsError

VENUES = {"binance": 5060, "kraken": 5062}


def test_the_usual_ports():
    assigned = ports.assign(VENUES)
    assert (assigned["gateway"], assigned["registry"], assigned["binance"]) == (8081, 8082, 5060)


def test_a_base_port_moves_all_of_them_in_a_row():
    assigned = ports.assign(VENUES, base_port=9400)
    assert sorted(assigned.values()) == list(range(9400, 9400 + len(ports.DEFAULTS) + 2))
    assert ports.metrics(assigned)["binance metrics"] == assigned["binance"] + 10_000


@pytest.mark.parametrize("base_port", [0, -5, 55_530, 65_535])
def test_a_base_port_that_leaves_no_room_is_refused(base_port: int):
    with pytest.raises(OperationsError, match="allowed are 1 to 555"):
        ports.assign(VENUES, base_port)


@pytest.mark.parametrize(("base_port", "name"), [(10_080, "gateway"), (10_078, "pages")])
def test_a_base_port_that_a_browser_would_not_connect_to_is_refused(base_port: int, name: str):
    with pytest.raises(OperationsError, match=rf"refuse port 10080 \({name}\)"):
        ports.assign(VENUES, base_port)
    assert ports.assign(VENUES, 10_081)["gateway"] == 10_081


def test_a_port_in_use_is_named_with_its_service():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OperationsError) as refusal:
            ports.require_free({"ingest": port})
        assert f"port {port} (ingest) is in use" in str(refusal.value)
        assert "--base-port" in str(refusal.value)
    ports.require_free({"ingest": port})
