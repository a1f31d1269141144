"""The registry process: it tracks the running processes and keeps Envoy's routes current."""

from pathlib import Path

from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.tradeflow.v1 import approvals_pb2

from gateway import installed_venues, service_contracts
from gateway.approvals import ApprovalsServicer
from gateway.catalog import VenueCatalog
from gateway.envoy_configuration import EnvoyConfiguration
from gateway.registry import ServiceRegistry
from gateway.service import CatalogServicer, RegistryServicer
from gateway.settings import GatewaySettings
from gateway.unrouted_calls import UnroutedCallHandler
from gateway.venue_activation import VenueActivator
from gateway.web import WebPages
from kit.base import settings as kit_settings
from kit.base.clock import SystemClock
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.execution.approval.keys import development_signer, scope_of
from kit.execution.settings import OrdersSettings

SERVICE_ID = "registry"


async def run(settings: GatewaySettings, mesh: MeshSettings, orders: OrdersSettings) -> None:
    """Serve until told to stop."""
    clock = SystemClock()
    known = service_contracts.load()
    registry = ServiceRegistry(clock)
    servicer = RegistryServicer(registry)
    catalog = VenueCatalog(installed_venues.load(mesh), registry)
    activation = VenueActivator(catalog, registry, settings.supervisor, clock)
    configuration = EnvoyConfiguration(settings, mesh, known, registry, clock)
    pages = WebPages(Path(settings.studio_dir), known)
    # Written before the server starts: Envoy may be started once the registry answers.
    configuration.write()
    runtime = Runtime(ProcessIdentity(SERVICE_ID, "registry", "registry", settings.port), mesh)
    runtime.serve(registry_pb2.DESCRIPTOR, "Registry", servicer)
    runtime.serve(catalog_pb2.DESCRIPTOR, "Catalog", CatalogServicer(catalog, activation))
    if mesh.world != "live" or orders.paper_accounts:
        signer = development_signer(Path(mesh.data_dir), scope_of(mesh))
        only = orders.paper_accounts if mesh.world == "live" else None
        approvals = ApprovalsServicer(signer, clock, only)
        runtime.serve(approvals_pb2.DESCRIPTOR, "Approvals", approvals)
    runtime.answer_rest(UnroutedCallHandler(known.services))
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
