"""Asks for the trial balance again and again while processes are killed."""

import asyncio
import time
from dataclasses import dataclass, field

import grpc
from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc

ASK_SECONDS_MIN = 0.05
ASK_SHARE = 0.25
"""Of the time, in which a trial balance is computed."""
CALL_SECONDS_MAX = 600.0


@dataclass(slots=True)
class TrialBalances:
    """Asks for the trial balance all the time."""

    stub: "ledger_pb2_grpc.LedgerAsyncStub"
    venues: tuple[str, ...]
    answered: int = 0
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)
    newest: int = 0

    async def run(self) -> None:
        """Ask forever, of all venues and of each in turn."""
        while True:
            for venue in ("", *self.venues):
                started = time.monotonic()
                request = ledger_pb2.GetTrialBalanceRequest(venue=venue)
                try:
                    answer = await self.stub.GetTrialBalance(request, timeout=CALL_SECONDS_MAX)
                except grpc.aio.AioRpcError:
                    # The ledger or its database was just killed.
                    self.unanswered += 1
                else:
                    self.check(venue, answer)
                took = time.monotonic() - started
                await asyncio.sleep(max(ASK_SECONDS_MIN, took * (1 / ASK_SHARE - 1)))

    def check(self, venue: str, answer: ledger_pb2.GetTrialBalanceResponse) -> None:
        """Note what is wrong in an answer."""
        self.answered += 1
        about = f"trial balance {venue!r} after group {answer.group_number}"
        if not answer.balanced:
            self.wrong.append(f"{about}: it does not say that it is balanced")
        for asset in answer.assets:
            if asset.debits != asset.credits:
                text = f"{asset.asset}: debits {asset.debits}, credits {asset.credits}"
                self.wrong.append(f"{about}: {text}")
        if answer.group_number < self.newest:
            self.wrong.append(f"{about}: there were {self.newest} before")
        self.newest = answer.group_number
