"""The registry process: it tracks the running processes and keeps Envoy's routes current."""

from pathlib import Path

from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.tradeflow.v1 import approvals_pb2

from gateway import contracts, installed
from gateway.activation import Activation
from gateway.approvals import ApprovalsServicer
from gateway.catalog import Catalog
from gateway.configuration import Configuration
from gateway.registry import Registry
from gateway.service import CatalogServicer, RegistryServicer
from gateway.settings import GatewaySettings
from gateway.unrouted import Unrouted
from gateway.web import Pages
from kit.base import settings as kit_settings
from kit.base.clock import SystemClock
from kit.base.runtime import Identity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.execution.keys import development_signer
from kit.execution.settings import OrdersSettings

SERVICE_ID = "registry"


async def run(settings: GatewaySettings, mesh: MeshSettings, orders: OrdersSettings) -> None:
    """Serve until told to stop."""
    clock = SystemClock()
    known = contracts.load()
    registry = Registry(clock)
    servicer = RegistryServicer(registry)
    catalog = Catalog(installed.load(mesh), registry)
    activation = Activation(catalog, registry, settings.supervisor, clock)
    configuration = Configuration(settings, mesh, known, registry, clock)
    pages = Pages(Path(settings.studio_dir), known)
    # Written before the server starts: Envoy may be started once the registry answers.
    configuration.write()
    runtime = Runtime(Identity(SERVICE_ID, "registry", "registry", settings.port), mesh)
    runtime.serve(registry_pb2.DESCRIPTOR, "Registry", servicer)
    runtime.serve(catalog_pb2.DESCRIPTOR, "Catalog", CatalogServicer(catalog, activation))
    if mesh.world != "live" or orders.paper_accounts:
        signer = development_signer(Path(mesh.data_dir))
        only = orders.paper_accounts if mesh.world == "live" else None
        approvals = ApprovalsServicer(signer, clock, only)
        runtime.serve(approvals_pb2.DESCRIPTOR, "Approvals", approvals)
    runtime.answer_rest(Unrouted(known.services))
    runtime.describe(contract.name for contract in known.services)
    runtime.run_task("leases", registry.run)
    runtime.run_task("configuration", configuration.run)
    runtime.run_task("pages", lambda: pages.run(mesh.host, settings.web_port))
    runtime.meter.gauge("services", "Processes that are known").set_function(registry.__len__)
    runtime.meter.gauge("watchers", "Readers of the list").set_function(lambda: servicer.watchers)
    runtime.meter.serving()
    await runtime.run()


def main() -> int:
    """Run the process. Returns its exit code."""
    settings = kit_settings.load(GatewaySettings, "gateway")
    mesh = kit_settings.load(MeshSettings, "mesh")
    orders = kit_settings.load(OrdersSettings, "orders")
    return run_process(SERVICE_ID, mesh, lambda: run(settings, mesh, orders))
