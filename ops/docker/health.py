"""The health check of a container, by grpc.health.v1. With TLS it shows the certificate of the
process, and asks for the same.

Run as ``python -m ops.docker.health [HOST:PORT]``; without an argument the address is in
VENUEMESH_HEALTH_ADDRESS. Exit code 0: the process serves. 1: it does not, or is away. 2: there is
no address to ask, or a setting is wrong.
"""

import os
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kit.base import settings
from kit.base.access.settings import TlsSettings
from kit.base.access.transport import MeshTls, target_options
from kit.base.clock import SystemClock
from kit.base.errors import SettingError

ADDRESS_VARIABLE = "VENUEMESH_HEALTH_ADDRESS"
TIMEOUT_S = 2.0
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


def _channel(address: str) -> grpc.Channel:
    tls = settings.load(TlsSettings, "tls")
    if not tls.required:
        return grpc.insecure_channel(address)
    shown = MeshTls(tls, SystemClock()).shown
    options = target_options(shown.validity.service_id)
    return grpc.secure_channel(address, shown.channel_credentials(), options)


def main(arguments: Sequence[str]) -> int:
    """Print the state and return the exit code."""
    address = arguments[0] if arguments else os.environ.get(ADDRESS_VARIABLE, "")
    if not address:
        print(f"name HOST:PORT, or set {ADDRESS_VARIABLE}", file=sys.stderr)
        return EXIT_USAGE
    try:
        state = ask(address)
    except SettingError as error:
        print(f"venuemesh: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(state)
    return EXIT_SERVING if state == "SERVING" else EXIT_NOT_SERVING


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
