"""The accounts of the ledger."""

from enum import IntEnum
from typing import NamedTuple

from venuemesh.ledger.v1 import postings_pb2

from kit.base.errors import AccountInvalid

CONTRACT_PREFIX = "contract/"


class AccountCode(IntEnum):
    """What an account counts. See postings.proto."""

    CASH = 1
    POSITION = 2
    FEES = 3
    REALIZED_PROFIT = 4
    MARGIN = 5
    FUNDING_PROFIT = 6
    EXTERNAL = 7


class AccountKey(NamedTuple):
    """The key of a ledger account. A balance is debits minus credits."""

    code: int
    venue: str
    account: str
    asset: str
    symbol: str = ""
    strategy: str = ""

    def message(self) -> postings_pb2.LedgerAccount:
        # Every number of AccountCode is one of the contract.
        code: postings_pb2.AccountCode.ValueType = self.code  # type: ignore[assignment]
        return postings_pb2.LedgerAccount(
            code=code,
            venue=self.venue,
            account=self.account,
            asset=self.asset,
            symbol=self.symbol,
            strategy=self.strategy,
        )


def contract_asset(venue: str, symbol: str) -> str:
    """The asset that counts contracts: a size of 1 of a derivative is one unit."""
    return f"{CONTRACT_PREFIX}{venue}/{symbol}"


def account_of(message: postings_pb2.LedgerAccount, field: str) -> AccountKey:
    """The account of a message. Raises AccountInvalid."""
    try:
        code = AccountCode(message.code)
    except ValueError:
        allowed = " ".join(postings_pb2.AccountCode.keys()[1:])
        raise _invalid(f"{field}.code", message.code, allowed) from None
    for name in ("venue", "account", "asset"):
        if not getattr(message, name):
            raise _invalid(f"{field}.{name}", "", "not empty")
    key = AccountKey(
        code, message.venue, message.account, message.asset, message.symbol, message.strategy
    )
    for name, value in zip(key._fields[1:], key[1:], strict=True):
        if not str(value).isprintable():
            raise _invalid(f"{field}.{name}", value, "printable characters")
    return key


def _invalid(field: str, value: object, allowed: str) -> AccountInvalid:
    text = f"{field} is {value!r}; allowed: {allowed}"
    return AccountInvalid(text, field=field, value=value, allowed=allowed)
