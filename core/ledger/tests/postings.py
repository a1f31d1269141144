"""Groups of postings for tests."""

from core.ledger.accounts import AccountCode, AccountKey
from core.ledger.postings import Posting, PostingGroup, PostingKind

VENUE = "binance"
UNIT = 10**18


def cash(asset: str = "USDT", account: str = "main") -> AccountKey:
    return AccountKey(AccountCode.CASH, VENUE, account, asset)


def external(asset: str = "USDT", account: str = "main") -> AccountKey:
    return AccountKey(AccountCode.EXTERNAL, VENUE, account, asset)


def deposit(
    group_id: str, amount: int = UNIT, time_ns: int = 1_000, asset: str = "USDT"
) -> PostingGroup:
    """A group that moves an amount from outside to the cash of the account main."""
    posting = Posting(cash(asset), external(asset), amount)
    return PostingGroup(group_id, PostingKind.TRANSFER, time_ns, (posting,))
