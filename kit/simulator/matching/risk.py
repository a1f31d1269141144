"""What time brings to accounts: orders expire, funding and profit are paid, positions are
liquidated."""

from decimal import Decimal

from kit.accounting.funding import FundingCharge, FundingMark, FundingSchedule
from kit.accounting.position import Position
from kit.base.clock import NANOSECONDS_PER_DAY, NANOSECONDS_PER_MILLISECOND
from kit.simulator.listing import DerivativeMark
from kit.simulator.matching.accounts import ExchangeAccount
from kit.simulator.matching.contract import BookingCause, RejectCode
from kit.simulator.matching.engine import OrderEngine
from kit.simulator.matching.instrument_book import InstrumentBook

RISK_INTERVAL_NS = 100 * NANOSECONDS_PER_MILLISECOND
NEVER_NS = 1 << 63


class RiskEngine:
    """Watches the accounts of one matching engine."""

    def __init__(self, engine: OrderEngine) -> None:
        self._engine = engine
        self._next_risk_ns = 0
        self._next_settlement_ns = 0
        """0: not computed yet."""
        self._funding = FundingSchedule()

    def advance(self, market_ns: int) -> None:
        """Do everything that is due at this time of the market."""
        engine = self._engine
        engine.begin(market_ns)
        engine.expire(engine.time_ns)
        for account in list(engine.accounts.values()):
            if account.cancel_at_ns and account.cancel_at_ns <= engine.time_ns:
                account.cancel_at_ns = 0
                for order in account.open_of(""):
                    if not order.is_final:
                        engine.cancel(order)
        if market_ns >= self._next_risk_ns:
            self._next_risk_ns = market_ns + RISK_INTERVAL_NS
            self._charge_funding(market_ns)
            if market_ns >= self._next_settlement_ns:
                self._settle(market_ns)
            self._check_margin()

    def _charge_funding(self, market_ns: int) -> None:
        engine = self._engine
        held = {
            symbol
            for account in engine.accounts.values()
            for symbol, position in account.wallet.positions.items()
            if position.size and engine.books[symbol].pays_funding
        }
        self._funding.keep_only(held)
        for symbol in sorted(held):
            mark = engine.settlement.prices.mark(symbol)
            if mark is None:
                continue
            charge = self._funding.observe(symbol, _funding_mark(mark, market_ns))
            if charge is not None:
                for account in list(engine.accounts.values()):
                    self._pay(account, engine.books[symbol], charge)

    def _pay(self, account: ExchangeAccount, book: InstrumentBook, charge: FundingCharge) -> None:
        wallet, engine = account.wallet, self._engine
        position = wallet.positions.get(book.symbol)
        if position is None or not position.size:
            return
        settlement, asset = engine.settlement, book.contract.settle
        position.accrue_funding(book.contract.unit_value(charge.price), charge.rate)
        paid = position.pay_funding()
        account.credit(BookingCause.FUNDING, asset, -paid, engine.time_ns, book.symbol)
        settlement.ledger.background[asset] += paid
        settlement.margin.refresh(wallet, asset)
        engine.tell_balances(account, (asset,), "funding")
        engine.tell_position(account, book, "funding")

    def _settle(self, market_ns: int) -> None:
        """Pay the profit since the last settlement, where fills do not pay it."""
        is_first, time_ns = not self._next_settlement_ns, self._engine.rules.settlement_time_ns
        if time_ns is None:
            self._next_settlement_ns = NEVER_NS
            return
        days = (market_ns - time_ns) // NANOSECONDS_PER_DAY + 1
        self._next_settlement_ns = days * NANOSECONDS_PER_DAY + time_ns
        for account in () if is_first else list(self._engine.accounts.values()):
            for symbol, position in sorted(account.wallet.positions.items()):
                self._pay_profit(account, self._engine.books[symbol], position)

    def _pay_profit(
        self, account: ExchangeAccount, book: InstrumentBook, position: Position
    ) -> None:
        engine, asset = self._engine, book.contract.settle
        paid = position.settle(engine.settlement.prices.lot_value(book.contract))
        if paid:
            account.credit(BookingCause.SETTLEMENT, asset, paid, engine.time_ns, book.symbol)
            engine.settlement.margin.refresh(account.wallet, asset)
            engine.tell_balances(account, (asset,), "settlement")
            engine.tell_position(account, book, "settlement")

    def _check_margin(self) -> None:
        margin = self._engine.settlement.margin
        for account in list(self._engine.accounts.values()):
            wallet = account.wallet
            held = (one for one in wallet.positions.values() if one.size)
            for asset in sorted({position.contract.settle for position in held}):
                if margin.equity(wallet, asset) < margin.maintenance_required(wallet, asset):
                    self._liquidate(account, asset)
                else:
                    margin.refresh(wallet, asset)

    def _liquidate(self, account: ExchangeAccount, asset: str) -> None:
        """Cancel all orders and close all positions at the market. The exchange pays what the
        account then owes."""
        engine, wallet = self._engine, account.wallet
        for order in account.open_of(""):
            book = engine.books[order.ticket.symbol]
            if not order.is_final and not book.is_spot and book.contract.settle == asset:
                engine.cancel(order, RejectCode.FUNDS)
        held = [
            position
            for position in wallet.positions.values()
            if position.size and position.contract.settle == asset
        ]
        books = [engine.books[position.contract.symbol] for position in held]
        for book in books:
            engine.force(account, book)
        owed = -engine.settlement.margin.balance(wallet, asset)
        if owed > 0 and not any(position.size for position in held):
            account.credit(BookingCause.LIQUIDATION, asset, owed, engine.time_ns)
            engine.settlement.ledger.background[asset] -= owed
        engine.settlement.margin.refresh(wallet, asset)
        engine.tell_balances(account, (asset,), "liquidation")
        for book in books:
            engine.tell_position(account, book, "liquidation")


def _funding_mark(mark: DerivativeMark, market_ns: int) -> FundingMark:
    return FundingMark(
        Decimal(mark.mark_price) if mark.mark_price else None,
        Decimal(mark.funding_rate) if mark.funding_rate else None,
        mark.next_funding_time_ns,
        market_ns,
    )
