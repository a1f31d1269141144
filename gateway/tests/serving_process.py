"""A process of a mesh with the real runtime, whose answers name its instance.

Run as ``python -m gateway.tests.serving_process SERVICE KIND PORT``.
"""

import sys

from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2

from gateway.tests.fakes import FakeVenue
from kit.base import settings
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MESH_SECTION, MeshSettings


class NamedHistory(history_pb2_grpc.HistoryServicer):
    """Returns the name of its process as the token of the next page."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def ListTrades(self, request, context):
        return history_pb2.ListTradesResponse(next_page_token=self._name)


async def serve(service_id: str, kind: str, port: int, mesh: MeshSettings) -> None:
    runtime = Runtime(ProcessIdentity(service_id, kind, service_id, port), mesh)
    if kind == "venue":
        venue = FakeVenue(mesh.instance_id)
        runtime.serve(market_data_pb2.DESCRIPTOR, "MarketData", venue)
    if kind == "history":
        runtime.serve(history_pb2.DESCRIPTOR, "History", NamedHistory(mesh.instance_id))
    runtime.meter.serving()
    await runtime.run()


def main(service_id: str, kind: str, port: str) -> int:
    mesh = settings.load(MeshSettings, MESH_SECTION)
    return run_process(service_id, mesh, lambda: serve(service_id, kind, int(port), mesh))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
