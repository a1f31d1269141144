"""The gateway of the mesh that a command is for, and the connection to it.

It is found in this order: ``--gateway``, ``--profile``, ``--data``, the variables VENUEMESH_GATEWAY
and VENUEMESH_PROFILE, and last the mesh that runs on the data folder of the settings.
"""

import argparse
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from kit.base import errors, rpc, settings
from kit.base.access.authority import FOLDER
from kit.base.access.certificates import AUTHORITY_KEY_FILE, CertificateAuthority
from kit.base.access.credentials import FixedToken
from kit.base.access.identified_channel import IdentifiedChannel
from kit.base.access.local_tokens import command_token
from kit.base.access.roles import CALLER_ROLES
from kit.base.access.transport import target_options
from kit.base.clock import SystemClock
from kit.base.directory import CALL_TIMEOUT_S, REGISTRY
from kit.base.errors import SettingError, UnknownVenue
from kit.base.hosts import LOOPBACK_HOSTS
from kit.base.paging import whole_list
from kit.base.settings import MESH_SECTION, MeshSettings
from kit.base.suggestions import did_you_mean
from kit.connector.contract import discovery
from ops import profiles
from ops.completion import complete_with
from ops.errors import OperationsError, UsageError
from ops.private_files import read_secret
from ops.profiles import Profile
from ops.supervisor import data_folder, state
from ops.supervisor.state import MeshState

GATEWAY_VARIABLE = "VENUEMESH_GATEWAY"
TOKEN_VARIABLE = "VENUEMESH_TOKEN"
PROFILE_VARIABLE = "VENUEMESH_PROFILE"
PORTS = {"http": 80, "https": 443}
LOCAL_TOKEN_VALID_S = 12 * 3_600
"""A stream ends with the token that it was opened with."""
KIND_REGISTRY = "registry"
COMMAND = "command"
"""The name in the certificate of a command."""
TOKEN_SOURCES = "--token-file, VENUEMESH_TOKEN or a profile"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway of one mesh, and what this caller shows to it."""

    url: str
    address: str
    """host:port."""
    encrypted: bool
    token: str = ""
    ca_file: str = ""
    mesh_id: str = ""
    """The mesh that it must belong to. Empty: any."""
    local: MeshState | None = None
    """The mesh that was found by its data folder on this machine."""
    data: Path | None = None
    """That folder."""
    credentials: grpc.ChannelCredentials | None = None
    """For a registry process that asks its callers for certificates. None: as the URL says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the mesh."""
    group = parser.add_argument_group("mesh", "by default the one that runs on the data folder")
    where = group.add_mutually_exclusive_group()
    add = where.add_argument
    add("--gateway", metavar="URL", help=f"of its gateway; default: ${GATEWAY_VARIABLE}")
    profile = add("--profile", metavar="NAME", help=f"its profile; default: ${PROFILE_VARIABLE}")
    complete_with(profile, profiles.names)
    add("--data", type=Path, metavar="DIR", help="its data folder on this machine")
    token = group.add_mutually_exclusive_group()
    token.add_argument(
        "--token", help=f"default: ${TOKEN_VARIABLE}; other users of this machine may see an option"
    )
    token.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the token")
    group.add_argument(
        "--plaintext", action="store_true", help="send the token without TLS to another machine"
    )


def add_verb(verbs: Any, name: str, text: str) -> argparse.ArgumentParser:
    """The parser of one more verb of a command that calls a gateway."""
    made: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    add_arguments(made)
    return made


def find(chosen: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Gateway | None:
    """The gateway, or None if none is named and no mesh runs on the data folder. Raises
    OperationsError for one that is named wrongly."""
    profile = _profile(chosen, environment)
    if profile is not None:
        return _remote(profile, chosen)
    data = data_of(chosen)
    running = state.read(data) if data_folder.in_use(data) else None
    if running is None:
        return None
    token = _named_token(chosen) or local_token(data, running.mesh_id)
    address = urlsplit(running.gateway).netloc
    return Gateway(running.gateway, address, False, token, local=running, data=data)


def require(chosen: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Gateway:
    """The gateway. Raises OperationsError if there is none."""
    found = find(chosen, environment)
    if found is None:
        text = f"no mesh runs on {data_of(chosen)}: name its folder with --data, or another mesh"
        raise OperationsError(f"{text} with --gateway or --profile", reason="NO_MESH")
    return found


def data_of(chosen: argparse.Namespace) -> Path:
    """The data folder of a mesh on this machine."""
    data = chosen.data or Path(settings.load(MeshSettings, MESH_SECTION).data_dir)
    return Path(data).expanduser().absolute()


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[grpc.aio.Channel]:
    """Connect. Calls show the token, and their errors become OperationsError. Raises
    OperationsError for the gateway of another mesh than the profile names."""
    if gateway.credentials is not None:
        options = (*rpc.OPTIONS, *target_options(REGISTRY))
        channel = grpc.aio.secure_channel(gateway.address, gateway.credentials, options)
    elif gateway.encrypted:
        credentials = _credentials(gateway)
        channel = grpc.aio.secure_channel(gateway.address, credentials, rpc.OPTIONS)
    else:
        channel = grpc.aio.insecure_channel(gateway.address, rpc.OPTIONS)
    if gateway.token:
        channel = IdentifiedChannel(channel, FixedToken(gateway.token))
    async with channel:
        try:
            if gateway.mesh_id:
                await _check_mesh(channel, gateway)
            yield channel
        except grpc.aio.AioRpcError as error:
            raise failure(error, gateway) from None


async def services(channel: grpc.aio.Channel, kind: str = "") -> registry_pb2.ListServicesResponse:
    """The running processes, and which mesh it is."""
    request = registry_pb2.ListServicesRequest(kind=kind)
    stub = registry_pb2_grpc.RegistryStub(channel)
    return await whole_list(stub.ListServices, request, timeout=CALL_TIMEOUT_S)


async def _check_mesh(channel: grpc.aio.Channel, gateway: Gateway) -> None:
    found = (await services(channel, KIND_REGISTRY)).mesh_id
    if found != gateway.mesh_id:
        text = f"{gateway.url} belongs to the mesh {found!r}; the profile names {gateway.mesh_id!r}"
        raise OperationsError(text, reason="OTHER_MESH")


def failure(error: grpc.aio.AioRpcError, gateway: Gateway) -> OperationsError:
    """A failed call, as it is printed."""
    known, code = errors.reason_of(error), error.code()
    text = f"{known or code.name}: {error.details()}"
    if code is grpc.StatusCode.UNAVAILABLE and not known:
        text += f"; no mesh answers at {gateway.url}"
    elif code is grpc.StatusCode.UNAUTHENTICATED:
        text += f"; name a token for {gateway.url} with {TOKEN_SOURCES}"
    elif known == UnknownVenue.reason:
        info = errors.error_info(error)
        name = info.metadata.get("venue", "") if info is not None else ""
        text += did_you_mean(name, discovery.venues())
    return OperationsError(text, reason=known or code.name)


def local_token(data: Path, mesh_id: str) -> str:
    """A token for the mesh on a data folder; "" if this user can read no key of it."""
    if not (data / FOLDER).is_dir():
        return ""
    try:
        return command_token(data, mesh_id, CALLER_ROLES, LOCAL_TOKEN_VALID_S)
    except (OSError, SettingError):
        return ""


def local_credentials(data: Path, mesh_id: str) -> grpc.ChannelCredentials | None:
    """A certificate for this command, for the processes of the mesh on a data folder; None if this
    user cannot read the key of the authority."""
    keys = data / FOLDER
    if not (keys / AUTHORITY_KEY_FILE).exists():
        return None
    try:
        authority = CertificateAuthority(keys, mesh_id, SystemClock())
    except (OSError, SettingError):
        return None
    issued = authority.issue(COMMAND, days=1)
    return grpc.ssl_channel_credentials(authority.certificate, issued.key, issued.chain)


def parse_url(text: str) -> tuple[str, bool]:
    """host:port, and whether the connection is encrypted. Raises UsageError."""
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        port = url.port or PORTS.get(url.scheme, 0)
    except ValueError:
        url, port = urlsplit(""), 0
    extra = url.path.strip("/") or url.query or url.fragment or url.username or url.password
    if url.scheme not in PORTS or not port or not url.hostname or extra:
        text = f"{text!r} is no gateway: allowed are http://HOST:PORT and https://HOST[:PORT]"
        raise UsageError(text)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{host}:{port}", url.scheme == "https"


def _profile(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Profile | None:
    """What is named, or None for a mesh on this machine. A token of a profile is never sent to
    another gateway."""
    if chosen.data is not None:
        return None
    name = chosen.profile
    url = chosen.gateway or ("" if name else environment.get(GATEWAY_VARIABLE, ""))
    if url:
        return Profile(gateway=url, token=environment.get(TOKEN_VARIABLE, ""))
    name = name or environment.get(PROFILE_VARIABLE, "")
    return profiles.find(name, profiles.default_file(environment)) if name else None


def _remote(profile: Profile, chosen: argparse.Namespace) -> Gateway:
    address, encrypted = parse_url(profile.gateway)
    token = _named_token(chosen) or profile.find_token()
    host = address.rpartition(":")[0].strip("[]")
    if token and not (encrypted or host in LOOPBACK_HOSTS or profile.plaintext or chosen.plaintext):
        text = f"the token would be readable on its way to {profile.gateway}: use https, or allow"
        raise OperationsError(f"{text} it with --plaintext", reason="TOKEN_IN_PLAINTEXT")
    url = f"{'https' if encrypted else 'http'}://{address}"
    return Gateway(url, address, encrypted, token, profile.ca_file, profile.mesh_id)


def _named_token(chosen: argparse.Namespace) -> str:
    if chosen.token_file is not None:
        return read_secret(chosen.token_file.expanduser())
    return str(chosen.token or "")


def _credentials(gateway: Gateway) -> grpc.ChannelCredentials:
    if not gateway.ca_file:
        return grpc.ssl_channel_credentials()
    file = Path(gateway.ca_file).expanduser()
    try:
        return grpc.ssl_channel_credentials(file.read_bytes())
    except OSError as error:
        raise OperationsError(f"ca_file {file} cannot be read: {error.strerror}") from None
