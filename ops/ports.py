"""Every port of a local mesh, in one table."""

import errno
import socket
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from kit.base.runtime import METRICS_PORT_OFFSET
from ops.embedded.server_command import LOOPBACK
from ops.errors import OperationsError

PORT_MIN = 1
PORT_MAX = 65_535

DEFAULTS: Mapping[str, int] = MappingProxyType(
    {
        "gateway": 8081,
        "registry": 8082,
        "pages": 8084,
        "valkey": 6379,
        "postgres": 8432,
        "simulator": 8300,
        "ingest": 8110,
        "recorder": 8111,
        "bars": 8112,
        "bridge": 8113,
        "history": 8114,
        "repair": 8115,
        "advisor": 8009,
        "detector": 8101,
        "ledger": 8120,
        "audit": 8121,
        "inspector": 8008,
        "notifier": 8127,
        "mcp": 8086,
        "mcp_http": 8088,
        "push": 8087,
        "push_http": 8089,
        "supervisor": 8085,
        "record": 8433,
    }
)
"""Ports by purpose. The ports of the venues follow them."""

REPLICA_INSTANCE = "b"
REPLICA_OFFSET = 500
"""Distance between the ports of two processes of a venue."""

FOR_BROWSERS = ("gateway", "pages")
REFUSED_BY_BROWSERS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061}
    | {6000, 6566, *range(6665, 6670), 6679, 6697, 10_080}
)
"""A browser sends nothing to these ports ("bad ports" of the Fetch standard; those above 1023)."""

WITHOUT_METRICS = frozenset(
    {"pages", "valkey", "postgres", "record", "simulator", "supervisor", "mcp_http", "push_http"}
)


def assign(venue_ports: Mapping[str, int], base_port: int | None = None) -> dict[str, int]:
    """The ports of a mesh with these venues: the defaults, or all from base_port on, in order.

    Raises OperationsError when they would not fit below 65536, or when a browser would not connect.
    """
    ports = {**DEFAULTS, **venue_ports}
    if base_port is not None:
        ports = {name: base_port + place for place, name in enumerate(ports)}
        last = max(ports.values()) + METRICS_PORT_OFFSET
        if base_port < PORT_MIN or last > PORT_MAX:
            most = PORT_MAX - METRICS_PORT_OFFSET - len(ports) + 1
            raise OperationsError(f"--base-port {base_port}: allowed are {PORT_MIN} to {most}")
        _require_open_to_browsers(base_port, ports)
    return ports


def _require_open_to_browsers(base_port: int, ports: Mapping[str, int]) -> None:
    for name in FOR_BROWSERS:
        if ports[name] in REFUSED_BY_BROWSERS:
            raise OperationsError(
                f"--base-port {base_port}: browsers refuse port {ports[name]} ({name}); "
                f"choose another, for example --base-port 9000"
            )


def of_replicas(venues: Iterable[str], venue_ports: Mapping[str, int]) -> dict[str, int]:
    """Ports of the second processes of these venues, by service id."""
    return {replica(venue): venue_ports[venue] + REPLICA_OFFSET for venue in venues}


def replica(venue: str) -> str:
    """The service id of the second process of a venue."""
    return f"{venue}-{REPLICA_INSTANCE}"


def metrics(ports: Mapping[str, int]) -> dict[str, int]:
    """The Prometheus ports of these ports."""
    return {
        f"{name} metrics": port + METRICS_PORT_OFFSET
        for name, port in ports.items()
        if name not in WITHOUT_METRICS
    }


def require_free(ports: Mapping[str, int]) -> None:
    """Raise OperationsError for the first port that cannot be used."""
    for name, port in ports.items():
        with socket.socket() as probe:
            # Servers set this too: a connection that has just ended does not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
                probe.listen()
            except OSError as error:
                raise OperationsError(_refusal(name, port, error)) from None


def _refusal(name: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} ({name}) is in use: stop what uses it, or choose other ports with "
            f"--base-port, for example --base-port 9000"
        )
    return f"port {port} ({name}) cannot be used: {error.strerror}; choose others with --base-port"
