"""The health check of a container, by grpc.health.v1. With TLS it shows the certificate of the
process, and asks for the same.

Run as ``python -m ops.docker.health [--ready] [HOST:PORT]``; without an argument the address is in
VENUEMESH_HEALTH_ADDRESS. Exit code 0: the process serves. 1: it does not, or is away. 2: there is
no address to ask, or a setting is wrong. With ``--ready``, a process that lacks something, such as
its database or the connection to its venue, is not healthy either: its metrics show the state.
"""

import os
import re
import sys
import urllib.request
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base import settings
from kit.base.access.settings import TlsSettings
from kit.base.access.transport import MeshTls, target_options
from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.runtime import METRICS_PORT_OFFSET

ADDRESS_VARIABLE = "VENUEMESH_HEALTH_ADDRESS"
READY = "--ready"
TIMEOUT_S = 2.0
SERVING = "SERVING"
READY_STATES = (SERVING, "STANDBY")
STATE = re.compile(r"^venuemesh_state (\d+)\b", re.MULTILINE)
STATE_PREFIX = "SERVICE_STATE_"
EXIT_SERVING, EXIT_NOT_SERVING, EXIT_USAGE = 0, 1, 2


def ask(address: str) -> str:
    """The health state of the server at host:port, such as "SERVING", or the error. Raises
    SettingError."""
    with _channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            return str(error.code().name)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def state(address: str) -> str:
    """What the metrics of the server at host:port say, such as "DEGRADED", or the error."""
    host, _, port = address.rpartition(":")
    url = f"http://{host}:{int(port) + METRICS_PORT_OFFSET}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            found = STATE.search(answer.read().decode())
    except OSError as error:
        return f"no metrics: {error}"
    if found is None:
        return "no state in the metrics"
    number = registry_pb2.ServiceState.ValueType(int(found[1]))
    return registry_pb2.ServiceState.Name(number).removeprefix(STATE_PREFIX)


def _channel(address: str) -> grpc.Channel:
    tls = settings.load(TlsSettings, "tls")
    if not tls.required:
        return grpc.insecure_channel(address)
    shown = MeshTls(tls, SystemClock()).shown
    options = target_options(shown.validity.service_id)
    return grpc.secure_channel(address, shown.channel_credentials(), options)


def main(arguments: Sequence[str]) -> int:
    """Print the state and return the exit code."""
    named = [argument for argument in arguments if argument != READY]
    address = named[0] if named else os.environ.get(ADDRESS_VARIABLE, "")
    if not address:
        print(f"name HOST:PORT, or set {ADDRESS_VARIABLE}", file=sys.stderr)
        return EXIT_USAGE
    try:
        found = ask(address)
    except SettingError as error:
        print(f"venuemesh: {error}", file=sys.stderr)
        return EXIT_USAGE
    if READY in arguments and found == SERVING:
        found = state(address)
        print(found)
        return EXIT_SERVING if found in READY_STATES else EXIT_NOT_SERVING
    print(found)
    return EXIT_SERVING if found == SERVING else EXIT_NOT_SERVING


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
