"""Groups of postings: amounts that move between accounts, together or not at all."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from venuemesh.ledger.v1 import postings_pb2

from core.ledger.accounts import AccountCode, AccountKey, account_of
from kit.accounting.money import ATOM_PLACES, ATOMS_PER_UNIT, atoms_text, parse_atoms
from kit.base.errors import AccountInvalid, AmountOutOfBounds, BadRequest, GroupUnbalanced
from kit.base.numbers import NumberError
from kit.events.subjects import EVENT_GROUP_PREFIX

UNITS_END = 10**18
AMOUNT_END = UNITS_END * ATOMS_PER_UNIT
"""Every amount is below it, in atoms."""
TOTAL_END = 10**38
"""The debits and the credits of an account are below it, in atoms."""
ALLOWED_AMOUNTS = f"above 0 and below {UNITS_END:,}, with up to {ATOM_PLACES} decimal places"
HOLD_PREFIX = "hold-"
"""Begins the ids of groups that are made of holds; no caller may use it."""


class PostingKind(IntEnum):
    """Why a group was made. See postings.proto."""

    FILL = 1
    FUNDING = 2
    FEE = 3
    SETTLEMENT = 4
    LIQUIDATION = 5
    TRANSFER = 6
    INTEREST = 7
    OTHER = 8
    OPENING = 9
    ADJUSTMENT = 10
    CORRECTION = 11


CALLERS_KINDS = (
    PostingKind.OPENING,
    PostingKind.ADJUSTMENT,
    PostingKind.CORRECTION,
    PostingKind.TRANSFER,
)
"""What a caller may post."""


class Posting(NamedTuple):
    """An amount that moves to ``debit`` from ``credit``, two accounts of one asset."""

    debit: AccountKey
    credit: AccountKey
    amount: int
    """In atoms, above 0."""


@dataclass(frozen=True, slots=True)
class PostingGroup:
    """Postings that are booked together. Each is within one asset, so the group balances."""

    group_id: str
    kind: PostingKind
    time_ns: int
    """When it happened. 0: when it is booked."""
    postings: tuple[Posting, ...]
    event_id: bytes = b""
    """The event that it was made of."""
    lifecycle_id: bytes = b""
    """The chain that the event belongs to."""
    caller: str = ""
    """Who has posted it."""
    detail: str = ""

    def content_hash(self) -> bytes:
        """SHA-256 of the postings, without the caller."""
        digest = hashlib.sha256(b"venuemesh group 1")
        head = (self.group_id, str(int(self.kind)), str(self.time_ns), self.detail)
        for part in (*head, *self._parts()):
            encoded = part.encode()
            # With its length: no two lists of parts give the same bytes.
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return digest.digest()

    def _parts(self) -> Iterable[str]:
        for posting in self.postings:
            yield from map(str, (*posting.debit, *posting.credit, posting.amount))


def move(debit: AccountKey, credit: AccountKey, amount: int) -> Iterable[Posting]:
    """The posting of a signed amount: to ``debit`` if it is positive, from it if it is negative,
    and none if it is 0."""
    if amount > 0:
        yield Posting(debit, credit, amount)
    elif amount < 0:
        yield Posting(credit, debit, -amount)


def group_of(message: postings_pb2.TransferGroup, place: int, caller: str) -> PostingGroup:
    """The group that a caller posts as number ``place`` of a request. Raises BadRequest,
    GroupUnbalanced, AmountOutOfBounds, AccountInvalid."""
    field = f"groups[{place}]"
    group_id = message.group_id
    prefixes = (EVENT_GROUP_PREFIX, HOLD_PREFIX)
    if not group_id.isprintable() or not group_id or group_id.startswith(prefixes):
        allowed = f"1 to 100 printable characters, the first not {' or '.join(prefixes)}"
        raise _bad(f"{field}.group_id", group_id, allowed)
    if int(message.kind) not in map(int, CALLERS_KINDS):
        allowed = " ".join(f"POSTING_KIND_{kind.name}" for kind in CALLERS_KINDS)
        raise _bad(f"{field}.kind", message.kind, allowed)
    if message.time_ns < 0:
        raise _bad(f"{field}.time_ns", message.time_ns, "0 or more")
    if "\0" in message.detail:
        raise _bad(f"{field}.detail", message.detail, "no NUL character")
    if not message.transfers:
        raise _bad(f"{field}.transfers", "", "at least one")
    return PostingGroup(
        group_id,
        PostingKind(message.kind),
        message.time_ns,
        tuple(
            posting_of(transfer, f"{field}.transfers[{number}]", group_id)
            for number, transfer in enumerate(message.transfers)
        ),
        caller=caller,
        detail=message.detail,
    )


def message_of(group: PostingGroup) -> postings_pb2.TransferGroup:
    """The message of a group."""
    kind: postings_pb2.PostingKind.ValueType = int(group.kind)  # type: ignore[assignment]
    return postings_pb2.TransferGroup(
        group_id=group.group_id,
        kind=kind,
        time_ns=group.time_ns,
        transfers=[
            postings_pb2.Transfer(
                debit=posting.debit.message(),
                credit=posting.credit.message(),
                amount=atoms_text(posting.amount),
            )
            for posting in group.postings
        ],
        detail=group.detail,
    )


def amount_of(text: str, field: str) -> int:
    """The atoms of an amount. Raises AmountOutOfBounds."""
    try:
        atoms = parse_atoms(text)
    except NumberError:
        atoms = 0
    if not 0 < atoms < AMOUNT_END:
        raise AmountOutOfBounds(
            f"{field} is {text!r}; allowed: {ALLOWED_AMOUNTS}",
            field=field,
            value=text,
            allowed=ALLOWED_AMOUNTS,
        )
    return atoms


def posting_of(transfer: postings_pb2.Transfer, field: str, group_id: str) -> Posting:
    """The posting of a transfer. Raises GroupUnbalanced, AmountOutOfBounds, AccountInvalid."""
    debit = _callers_account(transfer.debit, f"{field}.debit")
    credit = _callers_account(transfer.credit, f"{field}.credit")
    if debit.asset != credit.asset:
        raise GroupUnbalanced(
            f"{field} leads from {credit.asset} to {debit.asset}: post one transfer for each asset",
            group_id=group_id,
            field=field,
            debit_asset=debit.asset,
            credit_asset=credit.asset,
        )
    if debit == credit:
        raise AccountInvalid(
            f"{field} leads to the account that it comes from",
            field=f"{field}.debit",
            value=debit.message(),
            allowed="another account than credit",
        )
    return Posting(debit, credit, amount_of(transfer.amount, f"{field}.amount"))


def _callers_account(message: postings_pb2.LedgerAccount, field: str) -> AccountKey:
    """An account that a caller posts to."""
    key = account_of(message, field)
    if key.code == AccountCode.POSITION:
        raise AccountInvalid(
            f"{field}.code is POSITION; positions follow from fills and from nothing else",
            field=f"{field}.code",
            value=key.code,
            allowed="any other code",
        )
    return key


def _bad(field: str, value: object, allowed: str) -> BadRequest:
    text = f"{field} is {value!r}; allowed: {allowed}"
    return BadRequest(text, field=field, value=value, allowed=allowed)
