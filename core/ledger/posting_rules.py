"""The postings of executions at a venue. docs/LEDGER.md shows them with numbers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from venuemesh.tradeflow.v1 import cash_flows_pb2

from core.ledger.accounts import AccountCode, AccountKey, contract_asset
from core.ledger.position_history import PositionChange
from core.ledger.position_state import Effect
from core.ledger.postings import Posting, PostingKind, move
from kit.accounting.contract import Contract

KINDS: Mapping[int, PostingKind] = {
    cash_flows_pb2.CASH_FLOW_KIND_FUNDING: PostingKind.FUNDING,
    cash_flows_pb2.CASH_FLOW_KIND_FEE: PostingKind.FEE,
    cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT: PostingKind.SETTLEMENT,
    cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION: PostingKind.LIQUIDATION,
    cash_flows_pb2.CASH_FLOW_KIND_TRANSFER: PostingKind.TRANSFER,
    cash_flows_pb2.CASH_FLOW_KIND_INTEREST: PostingKind.INTEREST,
}
COUNTERPARTS = {
    PostingKind.OTHER: AccountCode.EXTERNAL,
    PostingKind.FUNDING: AccountCode.FUNDING_PROFIT,
    PostingKind.FEE: AccountCode.FEES,
    PostingKind.SETTLEMENT: AccountCode.REALIZED_PROFIT,
    PostingKind.LIQUIDATION: AccountCode.FEES,
    PostingKind.TRANSFER: AccountCode.EXTERNAL,
    PostingKind.INTEREST: AccountCode.FUNDING_PROFIT,
}
"""The account on the other side of cash, for a change of a balance that belongs to no position."""


@dataclass(frozen=True, slots=True)
class InstrumentAccounts:
    """The accounts of one instrument in one account at a venue."""

    venue: str
    account: str
    symbol: str
    """Empty: of no instrument."""

    def cash(self, asset: str) -> AccountKey:
        return AccountKey(AccountCode.CASH, self.venue, self.account, asset)

    def of(self, code: AccountCode, asset: str, strategy: str = "") -> AccountKey:
        """The account with this code."""
        return AccountKey(code, self.venue, self.account, asset, self.symbol, strategy)

    def position(self, asset: str, strategy: str) -> AccountKey:
        return self.of(AccountCode.POSITION, asset, strategy)

    def clearing(self, asset: str) -> AccountKey:
        """What the strategies have realised and the account has not, as the venue nets their
        positions. It is 0 when all of them are closed."""
        return self.of(AccountCode.POSITION, asset)

    @property
    def contracts(self) -> str:
        """The asset of the instrument's contracts."""
        return contract_asset(self.venue, self.symbol)


@dataclass(frozen=True, slots=True)
class PaidFee:
    """The fee of a fill. A rebate is negative."""

    asset: str
    atoms: int


def fill_postings(
    accounts: InstrumentAccounts,
    contract: Contract,
    change: PositionChange,
    fees: Iterable[PaidFee],
    effect: Effect,
) -> tuple[Posting, ...]:
    """The postings of a fill: what it exchanges, its fees (on spot those in the base asset are part
    of the change), and what it realises."""
    strategy = change.strategy
    if contract.is_spot:
        exchanged = [
            *_exchanged(accounts, contract, change),
            *_kept_profit(accounts, contract, effect),
        ]
    else:
        exchanged = list(_contracts(accounts, strategy, change.size))
    for fee in fees:
        if fee.atoms:
            paid = accounts.of(AccountCode.FEES, fee.asset, strategy)
            exchanged += move(paid, accounts.cash(fee.asset), fee.atoms)
    if not contract.is_spot:
        exchanged += _distributed(accounts, contract.settle, effect.net_profit, effect)
    return tuple(exchanged)


def opening_postings(
    accounts: InstrumentAccounts, contract: Contract, effect: Effect
) -> tuple[Posting, ...]:
    """The postings of a position that was there before."""
    return tuple(_distributed(accounts, contract.settle, effect.net_profit, effect))


def funding_postings(
    accounts: InstrumentAccounts, contract: Contract, amount: int, effect: Effect
) -> tuple[Posting, ...]:
    """The postings of funding that the account has received, divided among strategies."""
    cash_change = amount + effect.net_profit
    return tuple(_distributed(accounts, contract.settle, cash_change, effect))


def settlement_postings(
    accounts: InstrumentAccounts, contract: Contract, amount: int, effect: Effect
) -> tuple[Posting, ...]:
    """The postings of profit that the venue has paid before a position is closed."""
    asset = contract.settle
    return (
        *move(accounts.cash(asset), accounts.clearing(asset), amount),
        *_distributed(accounts, asset, effect.net_profit, effect),
    )


def flow_postings(
    accounts: InstrumentAccounts, kind: PostingKind, asset: str, amount: int
) -> tuple[Posting, ...]:
    """The postings of a change of a balance that belongs to no position."""
    return tuple(move(accounts.cash(asset), accounts.of(COUNTERPARTS[kind], asset), amount))


def _contracts(accounts: InstrumentAccounts, strategy: str, size: int) -> Iterable[Posting]:
    """Contracts that were bought; sold, if the size is negative."""
    outside = accounts.of(AccountCode.EXTERNAL, accounts.contracts)
    return move(accounts.position(accounts.contracts, strategy), outside, size)


def _exchanged(
    accounts: InstrumentAccounts, contract: Contract, change: PositionChange
) -> Iterator[Posting]:
    """Of a fill on spot: the value is paid for the size. A fee in the base asset leaves the
    position at the price of the fill."""
    base, quote, strategy = contract.base, contract.quote, change.strategy
    value = contract.value(change.price, abs(change.size))
    value = value if change.size > 0 else -value
    costs, held = accounts.position(quote, strategy), accounts.position(base, strategy)
    yield from move(costs, accounts.cash(quote), value)
    yield from move(accounts.cash(base), held, change.size)
    if change.base_fee:
        paid = contract.value(change.price, abs(change.base_fee))
        paid = paid if change.base_fee > 0 else -paid
        yield from move(held, accounts.cash(base), change.base_fee)
        yield from move(accounts.of(AccountCode.FEES, quote, strategy), costs, paid)


def _kept_profit(
    accounts: InstrumentAccounts, contract: Contract, effect: Effect
) -> Iterator[Posting]:
    """Of spot: profit leaves the position, whose balance is then the cost of what is left."""
    for strategy, profit in sorted(effect.profits.items()):
        realized = accounts.of(AccountCode.REALIZED_PROFIT, contract.quote, strategy)
        yield from move(accounts.position(contract.quote, strategy), realized, profit)


def _distributed(
    accounts: InstrumentAccounts, asset: str, cash_change: int, effect: Effect
) -> Iterable[Posting]:
    """Of a derivative: the venue changes the cash by what the account has realised. What differs
    from what the strategies have realised stands on the clearing account."""
    yield from _contracts(accounts, "", effect.opened)
    shares = {
        accounts.of(code, asset, strategy): share
        for code, found in (
            (AccountCode.REALIZED_PROFIT, effect.profits),
            (AccountCode.FUNDING_PROFIT, effect.funding),
        )
        for strategy, share in sorted(found.items())
        if share
    }
    cash, clearing = accounts.cash(asset), accounts.clearing(asset)
    if len(shares) == 1 and cash_change:
        ((only, share),) = shares.items()
        yield from move(cash, only, cash_change)
        yield from move(clearing, only, share - cash_change)
        return
    yield from move(cash, clearing, cash_change)
    for key, share in shares.items():
        yield from move(clearing, key, share)
