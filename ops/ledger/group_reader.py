"""Reads all groups of a ledger, up to the newest one of now."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc, postings_pb2

if TYPE_CHECKING:
    Stub: TypeAlias = ledger_pb2_grpc.LedgerAsyncStub

Show = Callable[[int, int, str], None]
"""Shows the progress: done, all of it, a text."""


async def all_groups(stub: "Stub", show: Show) -> AsyncGenerator[postings_pb2.BookedGroup, None]:
    """The groups in their order."""
    newest = (await stub.GetBalances(ledger_pb2.GetBalancesRequest(page_size=1))).group_number
    request = ledger_pb2.StreamEntriesRequest(skip_snapshot=True)
    if not newest:
        return
    async with aclosing(_responses(stub, request)) as responses:
        async for response in responses:
            show(response.group_number, newest, "")
            yield response.group
            if response.group_number >= newest:
                return


async def _responses(
    stub: "Stub", request: ledger_pb2.StreamEntriesRequest
) -> AsyncGenerator[ledger_pb2.StreamEntriesResponse, None]:
    call = stub.StreamEntries(request)
    try:
        async for response in call:
            yield response
    finally:
        call.cancel()
