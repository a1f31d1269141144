"""``./venuemesh token``: the tokens of a running mesh, and links that sign a browser in."""

import argparse
import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.access.v1 import tokens_pb2, tokens_pb2_grpc

from kit.base import settings
from kit.base.access import roles
from kit.base.access.local_tokens import PROCESS_VALID_S
from kit.base.access.roles import CALLER_ROLES
from kit.base.paging import whole_list
from kit.base.settings import MESH_SECTION, MeshSettings
from ops import gateway, process_files
from ops.arguments import add_verbs
from ops.errors import OperationsError
from ops.gateway import Gateway
from ops.output import print_json
from ops.process_files import ProcessTerms
from ops.tables import console, table, time_text

if TYPE_CHECKING:
    Stub: TypeAlias = tokens_pb2_grpc.TokensAsyncStub

CALL_SECONDS_MAX = 30
UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
COLUMNS = ("token id", "caller", "roles", "issued", "expires", "issued by", "state")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    issue = gateway.add_verb(verbs, "issue", "issue a token, and print it once")
    _add_caller(issue)
    issue.add_argument(
        "--for", dest="valid_s", type=duration_s, default=0, metavar="TIME",
        help="how long it is valid: 90m, 12h or 30d; default 12h",
    )  # fmt: skip
    issue.add_argument(
        "--for-model", action="store_true",
        help="a model will show it: it reads, and proposes orders that somebody else confirms",
    )  # fmt: skip
    link = gateway.add_verb(verbs, "link", "print a link that signs a browser in once")
    _add_caller(link)
    gateway.add_verb(verbs, "list", "list the tokens that have not expired")
    gateway.add_verb(
        verbs, "renew", "print a token like the one of this caller, valid for as long again"
    )
    revoke = gateway.add_verb(verbs, "revoke", "revoke a token, its renewals and its sessions")
    revoke.add_argument("id", metavar="ID", help="of the token, see list")
    gateway.add_verb(verbs, "rotate-key", "sign new tokens with a new key")
    process = verbs.add_parser("process", help="write token and certificate of a process")
    process.add_argument("service_id", metavar="SERVICE", help="its service id, as kraken")
    process.add_argument("kind", metavar="KIND", help="venue, or the name of the service")
    process.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder for them")
    process.add_argument("--data", type=Path, metavar="DIR", help="the folder with the keys")
    process.add_argument(
        "--for", dest="valid_s", type=duration_s, default=PROCESS_VALID_S, metavar="TIME",
        help="how long it is valid; default 7d, and the registry renews it",
    )  # fmt: skip


def run(chosen: argparse.Namespace) -> int:
    """Return 0."""
    if chosen.verb == "process":
        return _process(chosen)
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    where = gateway.require(chosen)
    async with gateway.connected(where) as channel:
        await VERBS[chosen.verb](tokens_pb2_grpc.TokensStub(channel), chosen, where)
    return 0


async def _issue(stub: "Stub", chosen: argparse.Namespace, where: Gateway) -> None:
    request = tokens_pb2.IssueTokenRequest(
        caller=chosen.caller or (await _own(stub)).caller,
        roles=[roles.to_wire(role) for role in chosen.role],
        valid_s=chosen.valid_s,
        for_model=chosen.for_model,
    )
    _print(await stub.IssueToken(request, timeout=CALL_SECONDS_MAX), chosen)


async def _renew(stub: "Stub", chosen: argparse.Namespace, where: Gateway) -> None:
    request = tokens_pb2.RenewTokenRequest()
    _print(await stub.RenewToken(request, timeout=CALL_SECONDS_MAX), chosen)


async def _link(stub: "Stub", chosen: argparse.Namespace, where: Gateway) -> None:
    request = tokens_pb2.CreateSignInLinkRequest(
        caller=chosen.caller, roles=[roles.to_wire(role) for role in chosen.role]
    )
    answer = await stub.CreateSignInLink(request, timeout=CALL_SECONDS_MAX)
    url = where.url + answer.path
    if chosen.json:
        print_json({"sign_in_url": url, "expires_time_ns": str(answer.expires_time_ns)})
    else:
        print(url)


async def _list(stub: "Stub", chosen: argparse.Namespace, where: Gateway) -> None:
    request = tokens_pb2.ListTokensRequest()
    answer = await whole_list(stub.ListTokens, request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        console().print(table(COLUMNS, map(_row, answer.tokens)))


async def _revoke(stub: "Stub", chosen: argparse.Namespace, where: Gateway) -> None:
    request = tokens_pb2.RevokeTokenRequest(token_id=chosen.id)
    answer = await stub.RevokeToken(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        print(f"revoked: {', '.join(answer.token_ids)}")


async def _rotate_key(stub: "Stub", chosen: argparse.Namespace, where: Gateway) -> None:
    answer = await stub.RotateKey(tokens_pb2.RotateKeyRequest(), timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        print(f"new tokens are signed with the key {answer.key_id}")


VERBS: Mapping[str, Callable[["Stub", argparse.Namespace, Gateway], Awaitable[None]]] = {
    "issue": _issue,
    "link": _link,
    "list": _list,
    "renew": _renew,
    "revoke": _revoke,
    "rotate-key": _rotate_key,
}


def duration_s(text: str) -> int:
    """Seconds of "90m", "12h" or "30d". Raises ArgumentTypeError."""
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are, for example, 90m, 12h and 30d")
    return int(found[1]) * UNITS_S[found[2]]


def _process(chosen: argparse.Namespace) -> int:
    """Write the files. It needs the keys of the mesh, which need not run."""
    mesh_id = settings.load(MeshSettings, MESH_SECTION).mesh_id
    terms = ProcessTerms(chosen.service_id, chosen.kind, chosen.valid_s)
    try:
        process_files.write(chosen.out, gateway.data_of(chosen), mesh_id, terms)
    except OSError as error:
        raise OperationsError(f"{chosen.out} cannot be written: {error.strerror}") from None
    named = {setting: str(chosen.out / file) for setting, file in process_files.SETTINGS.items()}
    if chosen.json:
        print_json({"service_id": chosen.service_id, "settings": named})
    else:
        print(f"settings of {chosen.service_id}:")
        for setting, file in named.items():
            print(f'{setting} = "{file}"')
    return 0


async def _own(stub: "Stub") -> tokens_pb2.Token:
    return (await stub.GetCaller(tokens_pb2.GetCallerRequest(), timeout=CALL_SECONDS_MAX)).token


def _print(
    answer: tokens_pb2.IssueTokenResponse | tokens_pb2.RenewTokenResponse,
    chosen: argparse.Namespace,
) -> None:
    # The token alone, so that it can be written to a file.
    if chosen.json:
        print_json(answer)
    else:
        print(answer.token)


def _row(token: tokens_pb2.Token) -> list[str]:
    granted = ", ".join(roles.from_wire(role) for role in token.roles)
    times = (time_text(token.issued_time_ns), time_text(token.expires_time_ns))
    state = "revoked" if token.revoked else "valid"
    shown_by = f"{token.caller} (model)" if token.for_model else token.caller
    return [token.token_id, shown_by, granted, *times, token.issued_by, state]


def _add_caller(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        choices=[str(role) for role in CALLER_ROLES],
        help="may be repeated",
    )
    parser.add_argument("--caller", default="", metavar="NAME", help="who will show it")
