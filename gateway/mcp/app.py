"""Wires the door for models: settings, tools, the HTTP server."""

from gateway.mcp import http_server
from gateway.mcp.gateway_client import GatewayClient
from gateway.mcp.settings import McpSettings
from kit.base import settings as setting_files
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings

SERVICE = "mcp"


def main() -> int:
    """Run the door for models until it is stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(McpSettings, SERVICE)
    return run_process(SERVICE, mesh, lambda: run(settings, mesh))


async def run(settings: McpSettings, mesh: MeshSettings) -> None:
    """Run the door for models in this event loop."""
    runtime = Runtime(ProcessIdentity(SERVICE, SERVICE, SERVICE, settings.port), mesh)
    runtime.announce_http(settings.http_port)
    gateway = GatewayClient(settings.gateway, settings.calls_at_once)
    tls = None if runtime.tls is None else runtime.tls.server_context()

    async def serve() -> None:
        with http_server.listen(mesh.host, settings.http_port) as listening:
            await http_server.first_connection(listening)
            protocol_server = await http_server.load()
            server = protocol_server.of_mesh(gateway, runtime.guard, settings)
            await server.run(listening, tls, runtime.when_draining)

    runtime.run_task("http", serve)
    runtime.at_end(gateway.close)
    runtime.meter.serving()
    await runtime.run()
