"""Groups of postings as text of Beancount."""

import re
from datetime import UTC, datetime

from venuemesh.ledger.v1 import postings_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND

ROOTS = {
    postings_pb2.ACCOUNT_CODE_CASH: ("Assets", "Cash"),
    postings_pb2.ACCOUNT_CODE_POSITION: ("Equity", "Position"),
    postings_pb2.ACCOUNT_CODE_FEES: ("Expenses", "Fees"),
    postings_pb2.ACCOUNT_CODE_REALIZED_PROFIT: ("Income", "RealizedProfit"),
    postings_pb2.ACCOUNT_CODE_MARGIN: ("Assets", "Margin"),
    postings_pb2.ACCOUNT_CODE_FUNDING_PROFIT: ("Income", "Funding"),
    postings_pb2.ACCOUNT_CODE_EXTERNAL: ("Equity", "External"),
}
COMMODITY_LENGTH_MAX = 24
_NOT_IN_ACCOUNTS = re.compile("[^A-Za-z0-9-]+")
_NOT_IN_COMMODITIES = re.compile("[^A-Z0-9._-]+")


class BeancountText:
    """Writes groups; the accounts are opened at the end, on the first day of each."""

    def __init__(self) -> None:
        self._opened: dict[str, str] = {}
        """Accounts with their first day."""
        self._names: dict[str, str] = {}
        """Names by what they stand for."""

    def group(self, booked: postings_pb2.BookedGroup) -> str:
        """The transaction of a group, with a line for each side of each posting."""
        group = booked.group
        day = _day(group.time_ns or booked.booked_time_ns)
        kind = postings_pb2.PostingKind.Name(group.kind).removeprefix("POSTING_KIND_").lower()
        lines = [f'{day} * "{_quoted(group.detail or kind)}"']
        lines.append(f'  group: "{_quoted(group.group_id)}"')
        for transfer in group.transfers:
            for account, sign in ((transfer.debit, ""), (transfer.credit, "-")):
                name = self._account(account)
                self._opened[name] = min(day, self._opened.get(name, day))
                lines.append(f"  {name}  {sign}{transfer.amount} {self._commodity(account.asset)}")
        return "\n".join(lines) + "\n\n"

    def accounts(self) -> str:
        """The accounts of all groups so far."""
        return "".join(f"{day} open {name}\n" for name, day in sorted(self._opened.items()))

    def _account(self, account: postings_pb2.LedgerAccount) -> str:
        root, word = ROOTS[account.code]
        parts = [account.venue, account.account, word, account.symbol, account.strategy]
        wanted = ":".join([root, *(_component(part) for part in parts if part)])
        return self._unique(repr((account.code, *parts)), wanted, len(wanted) + 8)

    def _commodity(self, asset: str) -> str:
        wanted = _NOT_IN_COMMODITIES.sub("-", asset.upper()).strip("._-")
        # The end of a name, which has the symbol of a contract.
        wanted = wanted[-COMMODITY_LENGTH_MAX:].strip("._-")
        if not wanted or not wanted[0].isalpha():
            wanted = f"X{wanted}"
        return self._unique(f"commodity {asset}", wanted, COMMODITY_LENGTH_MAX)

    def _unique(self, key: str, wanted: str, length_max: int) -> str:
        """A name that stands for nothing else; always the same for the same."""
        if key not in self._names:
            taken, name, number = set(self._names.values()), wanted[:length_max], 1
            while name in taken:
                number += 1
                name = f"{wanted[: length_max - 5]}-{number}"
            self._names[key] = name
        return self._names[key]


def _component(text: str) -> str:
    """Begins with a capital letter or a digit."""
    found = _NOT_IN_ACCOUNTS.sub("-", text).strip("-") or "X"
    return found[0].upper() + found[1:]


def _quoted(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace('"', '\\"').split())


def _day(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC).date().isoformat()
