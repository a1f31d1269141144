"""Amounts that are reserved until they are posted, voided or expired.

What has happened at a venue is booked whatever is reserved; a hold is refused when the account has
not so much that is free.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from venuemesh.ledger.v1 import holds_pb2, postings_pb2

from core.ledger.accounts import AccountKey
from core.ledger.posting_writer import PostingWriter
from core.ledger.postings import HOLD_PREFIX, Posting, PostingGroup, PostingKind, posting_of
from kit.accounting.money import atoms_text
from kit.base.clock import Clock
from kit.base.database import Connection, Database
from kit.base.errors import AmountOutOfBounds, BadRequest, GroupIdReused, HoldEnded, LimitExceeded

_COLUMNS = (
    "hold_id, debit, credit, amount, expires_time_ns, created_time_ns, caller, detail, state,"
    " posted_amount"
)
_FIND = f"SELECT {_COLUMNS} FROM ledger_holds WHERE hold_id = %s"
_ADD = f"INSERT INTO ledger_holds ({_COLUMNS}) VALUES ({', '.join(['%s'] * 10)})"
_END = "UPDATE ledger_holds SET state = %s, posted_amount = %s WHERE hold_id = %s"
_BALANCE = (
    "SELECT debits - credits FROM ledger_accounts WHERE code = %s AND venue = %s AND account = %s"
    " AND asset = %s AND symbol = %s AND strategy = %s"
)
_RESERVED = (
    "SELECT coalesce(sum(amount), 0) FROM ledger_holds WHERE credit = %s AND state = 1"
    " AND (expires_time_ns = 0 OR expires_time_ns > %s)"
)
_LIST = (
    f'SELECT {_COLUMNS} FROM ledger_holds WHERE hold_id COLLATE "C" > %s'
    " AND %s::text IN ('', credit[2]) AND %s::text IN ('', credit[3])"
    " AND (NOT %s OR state = 1 AND (expires_time_ns = 0 OR expires_time_ns > %s))"
    ' ORDER BY hold_id COLLATE "C" LIMIT %s'
)


class HoldState(IntEnum):
    """The state of a hold. See holds.proto."""

    PENDING = 1
    POSTED = 2
    VOIDED = 3
    EXPIRED = 4


@dataclass(frozen=True, slots=True)
class Hold:
    """An amount that is reserved."""

    hold_id: str
    posting: Posting
    """What it books when it is posted; it reserves a part of the account that is credited."""
    expires_time_ns: int
    """0: it does not expire."""
    created_time_ns: int
    caller: str
    detail: str
    state: HoldState = HoldState.PENDING
    posted_amount: int = 0

    def at(self, now_ns: int) -> "Hold":
        """As it is at a time: one that is pending expires."""
        is_over = 0 < self.expires_time_ns <= now_ns
        if self.state is HoldState.PENDING and is_over:
            return replace(self, state=HoldState.EXPIRED)
        return self

    def is_same(self, other: "Hold") -> bool:
        """Whether a request has the same content."""
        parts = [(one.posting, one.expires_time_ns, one.detail) for one in (self, other)]
        return parts[0] == parts[1]

    def message(self) -> holds_pb2.Hold:
        state: holds_pb2.HoldState.ValueType = int(self.state)  # type: ignore[assignment]
        return holds_pb2.Hold(
            hold_id=self.hold_id,
            debit=self.posting.debit.message(),
            credit=self.posting.credit.message(),
            amount=atoms_text(self.posting.amount),
            expires_time_ns=self.expires_time_ns,
            created_time_ns=self.created_time_ns,
            caller=self.caller,
            detail=self.detail,
            state=state,
            posted_amount=atoms_text(self.posted_amount) if self.posted_amount else "",
        )


def hold_of(request: holds_pb2.CreateHoldRequest, now_ns: int, caller: str) -> Hold:
    """The hold of a request. Raises BadRequest, GroupUnbalanced, AmountOutOfBounds,
    AccountInvalid."""
    hold_id, expires_ns = request.hold_id, request.expires_time_ns
    if not hold_id or not hold_id.isprintable():
        text = f"hold_id is {hold_id!r}; allowed: 1 to 90 printable characters"
        allowed = "1 to 90 printable characters"
        raise BadRequest(text, field="hold_id", value=hold_id, allowed=allowed)
    if expires_ns < 0 or 0 < expires_ns <= now_ns:
        text = f"expires_time_ns is {expires_ns}; allowed: 0, or after now"
        raise BadRequest(text, field="expires_time_ns", value=expires_ns, allowed="0, or after now")
    if "\0" in request.detail:
        text = "detail contains a NUL character"
        raise BadRequest(text, field="detail", value=request.detail, allowed="no NUL character")
    transfer = postings_pb2.Transfer(
        debit=request.debit, credit=request.credit, amount=request.amount
    )
    posting = posting_of(transfer, "hold", hold_id)
    return Hold(hold_id, posting, expires_ns, now_ns, caller, request.detail)


class Holds:
    """The holds of a ledger. Methods raise StoreUnavailable."""

    def __init__(self, database: Database, writer: PostingWriter, clock: Clock) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    async def create(self, hold: Hold) -> Hold:
        """Reserve an amount; the same hold once. Raises LimitExceeded, GroupIdReused."""
        found = hold

        async def work(connection: Connection) -> Sequence[PostingGroup]:
            nonlocal found
            known = await _find(connection, hold.hold_id)
            if known is not None:
                if not known.is_same(hold):
                    text = f"a hold {hold.hold_id!r} with other content exists; use a new id"
                    raise GroupIdReused(text, group_id=hold.hold_id)
                found = known
                return []
            await self._require_free(connection, hold)
            await connection.execute(_ADD, _row(hold))
            return []

        await self._writer.transact(work)
        return found.at(self._clock.time_ns())

    async def post(self, hold_id: str, amount: int, caller: str) -> Hold:
        """Post a hold, or a part, and free the remaining amount. ``amount`` 0: all. Raises
        HoldEnded, AmountOutOfBounds, BadRequest."""
        found: Hold | None = None

        async def work(connection: Connection) -> Sequence[PostingGroup]:
            nonlocal found
            hold = await self._known(connection, hold_id)
            asked = amount or hold.posting.amount
            if asked > hold.posting.amount:
                most = atoms_text(hold.posting.amount)
                raise AmountOutOfBounds(
                    f"amount {atoms_text(asked)} is above {most}, which the hold reserves",
                    field="amount",
                    value=atoms_text(asked),
                    allowed=f"up to {most}",
                )
            found = replace(hold, state=HoldState.POSTED, posted_amount=asked)
            if hold == found:
                return []
            _require_pending(hold)
            await connection.execute(_END, [int(HoldState.POSTED), asked, hold_id])
            posting = hold.posting._replace(amount=asked)
            kind = PostingKind.TRANSFER
            group_id = HOLD_PREFIX + hold_id
            return [PostingGroup(group_id, kind, 0, (posting,), caller=caller, detail=hold.detail)]

        await self._writer.transact(work)
        return _required(found)

    async def void(self, hold_id: str) -> Hold:
        """Give back what a hold reserves. Raises HoldEnded, BadRequest."""
        found: Hold | None = None

        async def work(connection: Connection) -> Sequence[PostingGroup]:
            nonlocal found
            hold = await self._known(connection, hold_id)
            found = replace(hold, state=HoldState.VOIDED)
            if hold.state is not HoldState.VOIDED:
                _require_pending(hold)
                await connection.execute(_END, [int(HoldState.VOIDED), 0, hold_id])
            return []

        await self._writer.transact(work)
        return _required(found)

    async def list(
        self, place: tuple[str, str], pending_only: bool, after: str, limit: int
    ) -> list[Hold]:
        """Holds of a venue and account ("": all) by id, after an id."""
        now_ns = self._clock.time_ns()
        async with self._database.transaction() as connection:
            rows = await connection.execute(_LIST, [after, *place, pending_only, now_ns, limit])
            return [_hold(row).at(now_ns) async for row in rows]

    async def _known(self, connection: Connection, hold_id: str) -> Hold:
        found = await _find(connection, hold_id)
        if found is None:
            text = f"there is no hold {hold_id!r}"
            raise BadRequest(text, field="hold_id", value=hold_id, allowed="see ListHolds")
        return found.at(self._clock.time_ns())

    async def _require_free(self, connection: Connection, hold: Hold) -> None:
        """Raises LimitExceeded."""
        credit = hold.posting.credit
        own = [int(credit.code), *credit[1:]]
        row = await (await connection.execute(_BALANCE, own)).fetchone()
        reserved = await connection.execute(_RESERVED, [_parts(credit), self._clock.time_ns()])
        sums = await reserved.fetchone()
        free = int(row[0] if row else 0) - int(sums[0] if sums else 0)
        if free < hold.posting.amount:
            raise LimitExceeded(
                f"{atoms_text(hold.posting.amount)} {credit.asset} are asked for, "
                f"{atoms_text(max(0, free))} are free",
                whose=credit.account,
                limit_name="free balance",
                field="amount",
                value=atoms_text(hold.posting.amount),
                limit=atoms_text(free),
            )


def _require_pending(hold: Hold) -> None:
    if hold.state is not HoldState.PENDING:
        text = f"the hold {hold.hold_id!r} is {hold.state.name}"
        raise HoldEnded(text, hold_id=hold.hold_id, state=hold.state.name)


def _required(hold: Hold | None) -> Hold:
    if hold is None:
        raise LookupError("a transaction has ended without its work")
    return hold


async def _find(connection: Connection, hold_id: str) -> Hold | None:
    row = await (await connection.execute(_FIND, [hold_id])).fetchone()
    return None if row is None else _hold(row)


def _row(hold: Hold) -> list[Any]:
    posting = hold.posting
    return [
        *(hold.hold_id, _parts(posting.debit), _parts(posting.credit), posting.amount),
        *(hold.expires_time_ns, hold.created_time_ns, hold.caller, hold.detail),
        *(int(hold.state), hold.posted_amount),
    ]


def _hold(row: Any) -> Hold:
    posting = Posting(_key(row[1]), _key(row[2]), int(row[3]))
    return Hold(
        hold_id=row[0],
        posting=posting,
        expires_time_ns=row[4],
        created_time_ns=row[5],
        caller=row[6],
        detail=row[7],
        state=HoldState(row[8]),
        posted_amount=int(row[9]),
    )


def _parts(key: AccountKey) -> list[str]:
    return [str(int(key.code)), *key[1:]]


def _key(parts: Sequence[str]) -> AccountKey:
    return AccountKey(int(parts[0]), *parts[1:])
