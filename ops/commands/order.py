"""``./venuemesh order``: orders of a running mesh, from the command line.

Orders and amendments go to the inspector, which compares them with its policy, approves and sends
them; with the key of ``--key`` they go to the venue's process at once. Orders are cancelled without
the inspector: stops, exits and other protective orders with ``--key`` or the role operator.
"""

import argparse
import asyncio
import sys

import grpc

from kit.base import errors
from ops import gateway
from ops.errors import OperationsError
from ops.orders import arguments, costs, display, outcomes, proposals, signing
from ops.orders.calls import OrderCalls
from ops.output import print_json
from ops.tables import console

WITHOUT_INSPECTOR = (
    "the inspector approves orders, and it did not answer: see ./venuemesh status; cancel and "
    "cancel-all work without it, and --key signs with a key of your own"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = outcomes.EXIT_CODES
    arguments.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if it was accepted, or another exit code of ``outcomes``."""
    if chosen.verb == "costs":
        return costs.run(chosen)
    if chosen.verb in arguments.PROPOSAL_VERBS:
        return proposals.run(chosen)
    if "id" in chosen:
        chosen.id = arguments.request_id(chosen)
    if chosen.verb == "flatten":
        _confirm(chosen)
    try:
        return asyncio.run(_run(chosen))
    except errors.VenuemeshError as error:
        raise OperationsError(f"{error.reason}: {error.message}", reason=error.reason) from None
    except UnicodeEncodeError as error:
        raise OperationsError(f"{error.object!r} is no text in UTF-8") from None
    except KeyboardInterrupt:
        if "id" in chosen:
            print(f"venuemesh: {_repeat(chosen)}", file=sys.stderr)
        raise


async def _run(chosen: argparse.Namespace) -> int:
    mesh, shown, exit_code = gateway.require(chosen), console(), 0
    async with gateway.connected(mesh) as channel:
        calls = OrderCalls(channel, await signing.signer(chosen, mesh, channel), chosen)
        try:
            async for answer in calls.answers():
                exit_code = outcomes.of_answer(answer, chosen)
                if exit_code == outcomes.EXIT_UNKNOWN and "id" in chosen:
                    print(f"venuemesh: {_repeat(chosen)}", file=sys.stderr)
                if chosen.json:
                    print_json(answer)
                    continue
                for line in display.lines(answer):
                    shown.print(line)
        except grpc.aio.AioRpcError as error:
            failure = gateway.failure(error, mesh)
            if calls.is_without_inspector(error):
                text = f"{failure}; {WITHOUT_INSPECTOR}"
                failure = OperationsError(text, reason=failure.reason)
            raise _explained(failure, error, chosen) from None
    return exit_code


def _explained(
    failure: OperationsError, error: grpc.aio.AioRpcError, chosen: argparse.Namespace
) -> OperationsError:
    exit_code, text = outcomes.of_error(error, chosen), str(failure)
    if exit_code == outcomes.EXIT_UNKNOWN and "id" in chosen:
        text += f"; {_repeat(chosen)}"
    return OperationsError(text, reason=failure.reason, exit_code=exit_code)


def _repeat(chosen: argparse.Namespace) -> str:
    return f"it may have been done: repeat it with --id {chosen.id}, which does nothing twice"


def _confirm(chosen: argparse.Namespace) -> None:
    """Ask before positions are closed, and name the request id. Raises OperationsError without a
    yes."""
    what = chosen.symbol or "all positions"
    action = f"cancel all orders and close {what} at {chosen.venue}/{chosen.account}"
    if not chosen.yes:
        if not sys.stdin.isatty():
            raise OperationsError(f"to {action} needs --yes where nobody can be asked")
        if input(f"Really {action}? Type yes: ").strip() != "yes":
            raise OperationsError("nothing was done")
    text = f"request id {chosen.id}: --id {chosen.id} continues if this is interrupted"
    print(text, file=sys.stderr if chosen.json else sys.stdout)
