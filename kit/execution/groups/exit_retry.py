"""Exits that the venue rejected for a reason that may pass are tried again, as orders of their own.

A rejected order stays rejected: news of it may still come. The next attempt is another order, with
an id that is made of the first one's request id and its number. It waits here at once, where it can
be seen and cancelled as any other, and is sent when its pause is over and it is its turn.
"""

from collections.abc import Iterator, Sequence

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import StoreUnavailable
from kit.execution.ids import client_order_id
from kit.execution.journal.records import Intended
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order, digest_of
from kit.execution.orders.order_index import intended_of
from kit.execution.submitter import Commit, OrderSubmitter

MARK = "~"
"""Between the caller's request id, which cannot have it, and the number of the attempt."""
ATTEMPTS_MAX = 12
PAUSE_MAX_S = 60
RECENT_NS = 600 * NANOSECONDS_PER_SECOND
"""What was rejected longer ago, before the process ended, is somebody else's matter by now."""
PASSING = frozenset(
    {
        orders_pb2.REJECT_REASON_OTHER,
        orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
        orders_pb2.REJECT_REASON_REDUCE_ONLY,
        orders_pb2.REJECT_REASON_INSTRUMENT,
        orders_pb2.REJECT_REASON_RATE_LIMIT,
        orders_pb2.REJECT_REASON_MAINTENANCE,
        orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
        orders_pb2.REJECT_REASON_NEVER_ARRIVED,
    }
)
"""The same order may be taken a little later: what an entry has bought may not be there yet, an
instrument may be halted, and of OTHER nobody knows."""


def number_of(entry: Order) -> int:
    """Which attempt it is, from 1."""
    _, _, number = entry.request_id.partition(MARK)
    return int(number) if number else 1


def rests(entry: Order, now_ns: int) -> bool:
    """Whether it is too early to send it."""
    number = number_of(entry)
    if number == 1:
        return False
    pause_s = min(1 << (number - 2), PAUSE_MAX_S)
    return now_ns < entry.created_time_ns + pause_s * NANOSECONDS_PER_SECOND


def is_wanted(entry: Order, members: Sequence[Order], now_ns: int) -> bool:
    """Whether there is to be another attempt: of one that waited here, was sent, and rejected. One
    that was sent when its group was placed is the caller's, who has the answer."""
    return bool(
        entry.takes_turns
        and entry.state == states.REJECTED
        and entry.reason in PASSING
        and entry.kept_here
        and not entry.held
        and not entry.cancel_wanted
        and number_of(entry) < ATTEMPTS_MAX
        and now_ns - entry.updated_time_ns < RECENT_NS
        and _next_of(entry, members) is None
    )


def given_up(members: Sequence[Order], now_ns: int) -> Iterator[Order]:
    """Exits that have ended lately though nobody wanted it, and are not tried again. While others
    go on, only those that the venue rejected."""
    turns = [one for one in members if one.takes_turns]
    goes_on = any(not one.is_final for one in turns)
    for one in turns:
        is_lost = one.state == states.REJECTED or not goes_on
        is_recent = now_ns - one.updated_time_ns < RECENT_NS
        if is_lost and is_recent and _ended_by_itself(one) and _next_of(one, members) is None:
            yield one


class ExitRetries:
    """Makes them, for one account."""

    def __init__(
        self, ledger: AccountState, pilot: OrderSubmitter, commit: Commit, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._pilot = pilot
        self._commit = commit
        self._clock = clock
        self._writing: set[str] = set()

    def make(self, entry: Order, members: Sequence[Order]) -> None:
        """Have the next attempt of an exit wait here, if there is to be one."""
        if is_wanted(entry, members, self._clock.time_ns()):
            after = self._ledger.index.put_intended(self._intended(entry))
            _follow(after, entry)
            self.keep(after)

    def keep(self, entry: Order) -> None:
        """Write down one that waits to be written. Until it is, its group waits."""
        if entry.key not in self._writing:
            self._writing.add(entry.key)
            self._pilot.works.start(self._keep(entry))

    def resume(self, members: Sequence[Order]) -> None:
        """After a start: what an attempt knew when it was made may not be on the disk."""
        for one in list(members):
            after = _next_of(one, members)
            if after is not None and after.held and not after.is_final:
                _follow(after, one)
            self.make(one, members)

    async def _keep(self, entry: Order) -> None:
        try:
            await self._commit(intended_of(entry))
            state = states.CANCELLED if entry.cancel_wanted else states.OPEN
            words = f"it was rejected, and will be sent again: {number_of(entry)} of {ATTEMPTS_MAX}"
            self._ledger.move(entry, state, detail="" if entry.cancel_wanted else words)
        except StoreUnavailable:
            # The group is looked at again after the pause, and this is tried again.
            return
        finally:
            self._writing.discard(entry.key)

    def _intended(self, entry: Order) -> Intended:
        content = entry.terms()
        content.size = entry.content.size
        request_id = _next_id(entry)
        return Intended(
            key=client_order_id(self._ledger.venue, self._ledger.account, request_id),
            request_id=request_id,
            digest=digest_of(content, request_id),
            content=content.SerializeToString(),
            created_time_ns=self._clock.time_ns(),
            approval_ends_ns=entry.approval_ends_ns,
            held=True,
        )


def _ended_by_itself(entry: Order) -> bool:
    """Whether nobody wanted the end of an exit: no fill, no caller, not its group; and whether the
    one who placed it has not heard of it in the answer."""
    if not entry.is_final or entry.cancel_wanted or entry.state == states.FILLED:
        return False
    if entry.state == states.REJECTED:
        return entry.kept_here and not entry.held
    return not (entry.held and entry.state == states.CANCELLED)


def _follow(after: Order, before: Order) -> None:
    """What the market has said to the one before holds."""
    after.is_triggered = after.is_triggered or before.is_triggered
    if after.best_price is None:
        after.best_price = before.best_price


def _next_id(entry: Order) -> str:
    first, _, _ = entry.request_id.partition(MARK)
    return f"{first}{MARK}{number_of(entry) + 1}"


def _next_of(entry: Order, members: Sequence[Order]) -> Order | None:
    wanted = _next_id(entry)
    return next((one for one in members if one.request_id == wanted), None)
