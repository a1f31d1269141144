"""The registry process: it tracks the running processes and keeps Envoy's routes current."""

from pathlib import Path

from venuemesh.access.v1 import tokens_pb2
from venuemesh.catalog.v1 import catalog_pb2
from venuemesh.registry.v1 import registry_pb2

from gateway import installed_venues, service_contracts
from gateway.catalog import VenueCatalog
from gateway.envoy_access import GatewayAccess
from gateway.envoy_configuration import EnvoyConfiguration
from gateway.issued_tokens import IssuedTokens
from gateway.platform_keys import PlatformKeys
from gateway.registry import ServiceRegistry
from gateway.service import CatalogServicer, RegistryServicer
from gateway.sessions import Sessions
from gateway.settings import GatewaySettings
from gateway.sign_in import SignInPages
from gateway.sign_in_links import SignInLinks
from gateway.token_service import MeshTokens, TokensServicer
from gateway.unrouted_calls import UnroutedCallHandler
from gateway.venue_activation import VenueActivator
from gateway.web import WebPages
from kit.base import settings as kit_settings
from kit.base.access import authority
from kit.base.access.settings import AccessSettings, TlsSettings
from kit.base.access.tokens import MeshNames, TokenVerifier
from kit.base.clock import SystemClock
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.base.tracing.settings import TelemetrySettings
from kit.execution.approval.keys import publish_inspector_key

SERVICE_ID = "registry"


async def run(settings: GatewaySettings, mesh: MeshSettings) -> None:
    """Serve the registry and Envoy's routes until stopped."""
    clock = SystemClock()
    known = service_contracts.load()
    registry = ServiceRegistry(clock)
    authority_folder = Path(mesh.data_dir) / authority.FOLDER
    names = MeshNames(mesh.mesh_id)
    keys = authority.Authority(authority_folder, clock)
    tokens = MeshTokens(keys, IssuedTokens(authority_folder, clock), names, clock)
    servicer = RegistryServicer(registry, mesh, tokens)
    catalog = VenueCatalog(installed_venues.load(mesh), registry)
    activation = VenueActivator(catalog, registry, settings.supervisor, clock)
    access_settings = kit_settings.load(AccessSettings, "access")
    access = GatewayAccess(access_settings, names, lambda: tokens.trusted, settings.session_cookie)
    configuration = EnvoyConfiguration(settings, mesh, known, access, registry, clock)
    configuration.tls = kit_settings.load(TlsSettings, "tls")
    tokens.changed = configuration.write_access
    servicer.settle = configuration.settle
    configuration.telemetry = kit_settings.load(TelemetrySettings, "telemetry")
    links = SignInLinks(clock)
    verifier = TokenVerifier(names, clock, access_settings.platform)
    sign_in = SignInPages(Sessions(tokens, links, verifier, clock), settings.session_cookie)
    studio, cookie = Path(settings.studio_dir), settings.session_cookie
    pages = WebPages(studio, known, cookie, sign_in.routes())
    # Written before the server starts: Envoy may be started once the registry answers.
    configuration.write()
    runtime = Runtime(ProcessIdentity(SERVICE_ID, "registry", "registry", settings.port), mesh)
    runtime.serve(registry_pb2.DESCRIPTOR, "Registry", servicer)
    runtime.serve(catalog_pb2.DESCRIPTOR, "Catalog", CatalogServicer(catalog, activation))
    runtime.serve(tokens_pb2.DESCRIPTOR, "Tokens", TokensServicer(tokens, links))
    # Made here, because in containers no other process may write the folder of the keys.
    publish_inspector_key(Path(mesh.data_dir))
    runtime.answer_rest(UnroutedCallHandler(known.services))
    runtime.describe(contract.name for contract in known.services)
    runtime.run_task("leases", registry.run)
    runtime.run_task("configuration", configuration.run)
    if configuration.tls.required:
        runtime.run_task("certificate", configuration.run_certificate)
    if access.settings.platform is not None:
        url, changed = access.settings.jwks_url, tokens.trust_platform
        platform_keys = PlatformKeys(url, authority_folder, changed, clock)
        runtime.run_task("platform keys", platform_keys.run)
    tls = None if runtime.tls is None else runtime.tls.server_context()
    runtime.run_task("pages", lambda: pages.run(mesh.host, settings.web_port, tls))
    runtime.meter.gauge("services", "Processes that are known").set_function(registry.__len__)
    runtime.meter.gauge("watchers", "Readers of the list").set_function(lambda: servicer.watchers)
    runtime.meter.serving()
    await runtime.run()


def main() -> int:
    """Run the process. Returns its exit code."""
    settings = kit_settings.load(GatewaySettings, "gateway")
    mesh = kit_settings.load(MeshSettings, "mesh")
    return run_process(SERVICE_ID, mesh, lambda: run(settings, mesh))
