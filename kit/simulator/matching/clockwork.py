"""What happens to accounts as time goes by: orders expire, funding is paid, positions end."""

from decimal import Decimal

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.listing import Mark
from kit.simulator.matching.accounts import Account
from kit.simulator.matching.contract import RejectCode
from kit.simulator.matching.engine import Engine
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.money import Share

RISK_INTERVAL_NS = 100 * NANOSECONDS_PER_MILLISECOND


class Clockwork:
    """Of one house."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._next_risk_ns = 0
        self._marks: dict[str, Mark] = {}
        """As they were last, of what someone holds."""

    def advance(self, market_ns: int) -> None:
        """It is this time now."""
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
            self._pay_funding(market_ns)
            self._close_what_is_not_covered()

    def _pay_funding(self, market_ns: int) -> None:
        """At the time and rate that the marks have named before."""
        engine = self._engine
        held = {
            symbol
            for account in engine.accounts.values()
            for symbol, position in account.positions.items()
            if position.lots
        }
        for symbol in sorted(held | self._marks.keys()):
            board = engine.boards[symbol]
            before = self._marks.get(symbol)
            if before is not None and before.next_funding_time_ns <= market_ns:
                for account in list(engine.accounts.values()):
                    self._pay(account, board, before)
            now = engine.margin.mark(board) if symbol in held else None
            if now is not None and board.pays_funding and now.next_funding_time_ns:
                self._marks[symbol] = now
            else:
                self._marks.pop(symbol, None)

    def _pay(self, account: Account, board: InstrumentBook, mark: Mark) -> None:
        position = account.positions.get(board.symbol)
        if position is None or not position.lots:
            return
        rate = Decimal(mark.funding_rate or 0)
        worth = position.worth(board.worth_at(Decimal(mark.mark_price)))
        paid = Share.of(rate).take(worth)
        account.add(board.settle, -paid)
        position.realized -= paid
        self._engine.ledger.crowd[board.settle] += paid
        self._engine.margin.hold(account, board.settle)
        self._engine.tell_balances(account, (board.settle,), "funding")
        self._engine.tell_position(account, board, "funding")

    def _close_what_is_not_covered(self) -> None:
        margin = self._engine.margin
        for account in list(self._engine.accounts.values()):
            boards = [
                self._engine.boards[symbol]
                for symbol, position in account.positions.items()
                if position.lots
            ]
            for asset in sorted({board.settle for board in boards}):
                if margin.equity(account, asset) < margin.maintenance(account, asset):
                    self._liquidate(account, asset)
                else:
                    margin.hold(account, asset)

    def _liquidate(self, account: Account, asset: str) -> None:
        """All orders end and all positions are closed at the market. What an account then owes the
        house pays."""
        engine = self._engine
        for order in account.open_of(""):
            board = engine.boards[order.ticket.symbol]
            if not order.is_final and not board.is_spot and board.settle == asset:
                engine.cancel(order, RejectCode.FUNDS)
        boards = [board for board, _ in engine.margin.held(account, asset)]
        for board in boards:
            engine.force(account, board)
        owed = -account.total[asset]
        if owed > 0 and not any(account.positions[board.symbol].lots for board in boards):
            account.add(asset, owed)
            engine.ledger.crowd[asset] -= owed
        engine.margin.hold(account, asset)
        engine.tell_balances(account, (asset,), "liquidation")
        for board in boards:
            engine.tell_position(account, board, "liquidation")
