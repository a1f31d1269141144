"""``./venuemesh up``: the whole mesh in the foreground."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kit.base import settings as kit_settings
from kit.base.access.settings import TlsSettings
from kit.base.clock import SystemClock
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from ops import ports
from ops.embedded import envoy
from ops.errors import OperationsError
from ops.supervisor import data_folder, options, state
from ops.supervisor.display import Display, LineDisplay, LiveTable
from ops.supervisor.mesh import Mesh
from ops.supervisor.mesh_certificates import MeshCertificates
from ops.supervisor.mesh_run import MeshRun
from ops.supervisor.options import WORLDS, MeshOptions
from ops.venues import known_ports

LIVE_VENUES = ("binance",)
"""Where nothing was chosen: the simulator plays every venue, but of real exchanges one is enough
until somebody asks for more."""
LEFTOVER_SECONDS_MAX = 8.0
"""After an unclean end the processes of before need so long at most to end as well."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--world", choices=WORLDS, help="default: simulate")
    parser.add_argument(
        "--replay",
        action="append",
        default=[],
        metavar="VENUE=FILE|VENUE=store:STORE",
        help="for the world replay, may be repeated: frames.jsonl[.gz], or what was recorded: "
        "URL of a PostgreSQL or data folder of a mesh, with ?from=TIME&to=TIME&symbols=A,B",
    )
    parser.add_argument(
        "--speed", type=str, metavar="N|max", help="times as fast as the clock, or max"
    )
    parser.add_argument(
        "--venues", metavar="A,B", help="default: those replayed; all in simulate; binance in live"
    )
    parser.add_argument(
        "--replicas", metavar="A,B", help="run two replicas of each of these venues"
    )
    parser.add_argument(
        "--without",
        metavar="A,B",
        help="do not start these services: "
        "--without ledger,audit,detector,advisor,inspector,notifier runs market data alone",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the simulated market")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=float,
        metavar="SECONDS",
        help="stop after SECONDS, counted from the start of the command",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="default: data")
    parser.add_argument(
        "--base-port",
        type=int,
        metavar="N",
        help="put the gateway on port N, and the other processes on the ports after it",
    )


def run(chosen: argparse.Namespace) -> int:
    """Returns 0 after a clean stop. Raises OperationsError and SettingError before a start."""
    mesh_settings = kit_settings.load(MeshSettings, "mesh")
    venue_ports = known_ports(_names(chosen.venues))
    mesh_options = _options(chosen, mesh_settings, list(known_ports()))
    options.check(mesh_options, sorted(venue_ports))
    own = _first(mesh_options.venues, venue_ports)
    own |= ports.of_replicas(mesh_options.replicas, venue_ports)
    assigned = ports.assign(own, mesh_options.base_port)
    mesh = Mesh(mesh_options, assigned, mesh_settings)
    # Logs, orders and streams are for who runs the mesh: of others, a token is asked.
    os.umask(data_folder.OTHERS)
    with data_folder.locked(mesh_options.data):
        _require_free_ports(mesh)
        state.remove(mesh_options.data)
        # One of an earlier run may name other ports.
        envoy.forget_configuration(mesh_options.data / envoy.FOLDER)
        if kit_settings.load(TlsSettings, "tls").required:
            keys = MeshCertificates(mesh_options.data, mesh_settings.mesh_id, SystemClock())
            mesh = replace(mesh, certificates=keys)
        return asyncio.run(MeshRun(mesh, _display(mesh, chosen.json)).run())


def _first(venues: Sequence[str], venue_ports: Mapping[str, int]) -> dict[str, int]:
    """The ports of all venues, of these before the others."""
    return {venue: venue_ports[venue] for venue in (*venues, *sorted(venue_ports))}


def _display(mesh: Mesh, as_json: bool) -> Display:
    if sys.stdout.isatty() and not as_json:
        return LiveTable(mesh.headline, mesh.registry)
    return LineDisplay(mesh.headline, mesh.registry, as_json=as_json)


def _names(text: str | None) -> list[str]:
    """Venues as they were named."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _ids(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(discovery.venue_id, _names(text))))


def _options(
    arguments: argparse.Namespace, mesh: MeshSettings, known_venues: Sequence[str]
) -> MeshOptions:
    world = arguments.world or mesh.world
    replays = options.parse_replays(arguments.replay)
    if arguments.venues is not None:
        venues = _ids(arguments.venues)
    else:
        default = known_venues if world == "simulate" else LIVE_VENUES
        venues = replays.venues or tuple(default)
    return MeshOptions(
        world=world,
        venues=venues,
        data=(arguments.data or Path(mesh.data_dir)).expanduser().absolute(),
        replays=replays.files,
        records=replays.records,
        speed=None if arguments.speed is None else options.parse_speed(arguments.speed),
        seed=arguments.seed,
        seconds=arguments.seconds,
        base_port=arguments.base_port,
        replicas=_ids(arguments.replicas),
        without=tuple(_names(arguments.without)),
    )


def _require_free_ports(mesh: Mesh) -> None:
    own = mesh.own_ports()
    ended_uncleanly = state.read(mesh.options.data) is not None
    patience_ends = time.monotonic() + (LEFTOVER_SECONDS_MAX if ended_uncleanly else 0)
    while True:
        try:
            ports.require_free({**own, **ports.metrics(own)})
        except OperationsError:
            if time.monotonic() > patience_ends:
                raise
            time.sleep(0.1)
        else:
            return
