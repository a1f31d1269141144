"""Verdicts on orders: pure functions of the policy, the state and the order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, risk_pb2

from core.inspector.modes import Mode, allows_entries, mode_name
from kit.accounting import instruments
from kit.accounting.amounts import add, plain, product, quotient, rounded
from kit.accounting.money import ATOM
from kit.risk import order_checks
from kit.risk.facts import NO_FACTS, Holding, ReferencePrice, RiskFacts
from kit.risk.limits import THROTTLED_RATE
from kit.risk.measures import EntryContext
from kit.risk.order_checks import RATE, amount
from kit.risk.policy import Policy
from kit.risk.scopes import PositionKey

PASSED = checks_pb2.CHECK_RESULT_PASSED
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
NOTED = checks_pb2.CHECK_RESULT_NOTED
ACTIVE = risk_pb2.TRADING_MODE_ACTIVE
THROTTLED = risk_pb2.TRADING_MODE_THROTTLED
MODE = "mode"
RATES = frozenset({RATE, THROTTLED_RATE})
"""What a later order may be within."""
CLOSING_ALL = risk_pb2.TRADING_MODE_CLOSING_ALL


@dataclass(frozen=True, slots=True)
class ProposedEntry:
    """An order that may open a position. Amounts are text as they were received."""

    venue: str
    account: str
    symbol: str
    size: str
    price: str
    """The price for its value: the limit price, or the reference price of a market order."""
    stop_price: str = ""
    expires_time_ns: int = 0
    """0: it does not expire; one of a strategy has to."""
    is_of_strategy: bool = True
    """A person may place an order without a stop, and several in an instrument."""
    strategy: str = ""
    """The strategy whose limits also apply; "" for an order of a person."""
    is_buy: bool = True
    stated_prices: tuple[Decimal | None, ...] | None = None
    """Its own prices, if they differ from ``price``; see EntryContext."""


@dataclass(frozen=True, slots=True)
class RiskState:
    """The state that an order is compared with."""

    now_ns: int
    modes: Mapping[str, Mode]
    """The modes that apply, by scope."""
    instrument: types_pb2.Instrument | None
    """None: it is unknown."""
    open_positions: int
    """Positions of the strategy in the instrument: 0 or 1."""
    recent_entries: int
    """Entries approved within the last minute."""
    facts: RiskFacts = NO_FACTS
    """The facts for limits by scope."""

    @property
    def mode(self) -> Mode:
        """The strictest of the modes that apply."""
        return max(self.modes.values())


@dataclass(frozen=True, slots=True)
class CheckedVerdict:
    """A verdict and all its checks."""

    verdict: "risk_pb2.Verdict.ValueType"
    checks: Sequence[checks_pb2.Check]
    mode: Mode
    is_reduction: bool = False
    facts: RiskFacts = NO_FACTS

    @property
    def is_allowed(self) -> bool:
        return self.verdict == risk_pb2.VERDICT_ALLOW


def verdict_on_entry(policy: Policy, state: RiskState, entry: ProposedEntry) -> CheckedVerdict:
    """Compare an order with every limit."""
    size, price = amount(entry.size), amount(entry.price)
    position_key = PositionKey(entry.venue, entry.account, entry.symbol, entry.strategy)
    facts = _with_order(state, entry, size, price)
    if not entry.is_of_strategy:
        facts = msgspec.structs.replace(facts, strategy=entry.strategy)
    checks = [
        _mode_check(state, BLOCKED),
        *order_checks.allow_list_checks(policy, position_key),
        _expiry_check(state, entry),
        order_checks.size_check(policy, position_key, entry.size),
        order_checks.notional_check(policy, facts, price),
        *order_checks.rate_checks(policy, state.recent_entries),
    ]
    if entry.is_of_strategy:
        checks += [_position_check(state), _stop_check(entry)]
        checks += _name_checks(entry)
    prices = (price,) if entry.stated_prices is None else entry.stated_prices
    context = EntryContext(
        position_key,
        entry.is_buy,
        prices,
        state.now_ns,
        facts,
        policy.valuation,
        policy.groups,
        policy.maintenance_margin,
        state.mode == THROTTLED,
    )
    checks += policy.checks(context)
    return CheckedVerdict(_verdict(state, checks), checks, state.mode, facts=facts)


def valued_price(stated: Sequence[Decimal | None], best: Decimal | None, *, is_buy: bool) -> str:
    """The price for an order's value, as text; "" if it is unknown. A purchase costs at most its
    own price. A sale may bring more, so it counts at the best price if that is higher."""
    prices = stated if is_buy else [*stated, best]
    known = [price for price in prices if price is not None]
    return plain(max(known)) if len(known) == len(prices) else ""


def verdict_on_reduction(
    state: RiskState, checks: Sequence[checks_pb2.Check] = ()
) -> CheckedVerdict:
    """The verdict on a reduction or a cancel: always ALLOW. ``checks``: notes about it."""
    found = [_mode_check(state, NOTED), *checks]
    return CheckedVerdict(risk_pb2.VERDICT_ALLOW, found, state.mode, is_reduction=True)


def blocked(verdict: CheckedVerdict, name: str, observed: str, detail: str) -> CheckedVerdict:
    """The verdict BLOCK, with one more check as its reason."""
    check = checks_pb2.Check(name=name, observed=observed, result=BLOCKED, detail=detail)
    return replace(verdict, verdict=risk_pb2.VERDICT_BLOCK, checks=[*verdict.checks, check])


def _verdict(state: RiskState, checks: Sequence[checks_pb2.Check]) -> "risk_pb2.Verdict.ValueType":
    names = {check.name for check in checks if check.result == BLOCKED}
    if MODE in names:
        is_closing = state.mode == CLOSING_ALL
        return risk_pb2.VERDICT_CLOSE_ALL if is_closing else risk_pb2.VERDICT_STAND_DOWN
    if names and names <= RATES:
        return risk_pb2.VERDICT_THROTTLE
    return risk_pb2.VERDICT_BLOCK if names else risk_pb2.VERDICT_ALLOW


def _mode_check(
    state: RiskState, otherwise: "checks_pb2.CheckResult.ValueType"
) -> checks_pb2.Check:
    strict = [scope for scope, mode in sorted(state.modes.items()) if mode == state.mode]
    return checks_pb2.Check(
        name=MODE,
        observed=mode_name(state.mode),
        limit=mode_name(ACTIVE),
        result=PASSED if allows_entries(state.mode) else otherwise,
        detail="" if state.mode == ACTIVE else f"of {', '.join(strict)}",
    )


def _expiry_check(state: RiskState, entry: ProposedEntry) -> checks_pb2.Check:
    ends_ns = entry.expires_time_ns
    is_missing = entry.is_of_strategy and not ends_ns
    is_over = bool(ends_ns) and state.now_ns >= ends_ns
    return checks_pb2.Check(
        name="expiry",
        observed=str(state.now_ns),
        limit=str(ends_ns) if ends_ns else "",
        unit="ns",
        result=BLOCKED if is_missing or is_over else PASSED,
        detail="an intent needs a time at which it expires" if is_missing else "",
    )


def _name_checks(entry: ProposedEntry) -> list[checks_pb2.Check]:
    """Without a name, no limit of a strategy would hold."""
    if entry.strategy:
        return []
    detail = "an intent names its strategy"
    return [checks_pb2.Check(name="strategies", result=BLOCKED, detail=detail)]


def _with_order(
    state: RiskState, entry: ProposedEntry, size: Decimal | None, price: Decimal | None
) -> RiskFacts:
    """The facts, with the order and its value as far as they are known."""
    instrument, facts = state.instrument, state.facts
    if instrument is None:
        return facts
    asset, value, order = instruments.notional_asset(instrument), None, None
    if size is not None and price is not None:
        value = instruments.notional_in_asset(instrument, size, price)
    if size is not None:
        order = _holding(entry, instrument, size if entry.is_buy else -size, price, facts.reference)
    return msgspec.structs.replace(facts, notional=value, notional_asset=asset, order=order)


def _holding(
    entry: ProposedEntry,
    instrument: types_pb2.Instrument,
    size: Decimal,
    price: Decimal | None,
    reference: ReferencePrice | None,
) -> Holding:
    """The order, as if it were filled at its price."""
    multiplier = instruments.multiplier(instrument)
    assets = instruments.contract_assets(instrument)
    cost = None
    if multiplier is not None and price is not None and assets is not None:
        count = product(size, multiplier)
        is_inverse = instruments.is_inverse(instrument)
        cost = rounded(quotient(count, price) if is_inverse else product(count, price), ATOM)
    return Holding(
        venue=entry.venue,
        account=entry.account,
        symbol=entry.symbol,
        strategy=entry.strategy,
        base=instrument.base,
        quote=instrument.quote,
        settle=instrument.settlement_asset,
        multiplier=multiplier,
        size=size,
        cost=None if cost is None else Decimal(plain(cost)),
        mark=None if reference is None else reference.middle,
    )


def _position_check(state: RiskState) -> checks_pb2.Check:
    return checks_pb2.Check(
        name="open_positions_max",
        observed=str(state.open_positions),
        projected=plain(add(Decimal(state.open_positions), Decimal(1))),
        limit="1",
        unit="positions",
        result=BLOCKED if state.open_positions else PASSED,
        detail="of the strategy in the instrument",
    )


def _stop_check(entry: ProposedEntry) -> checks_pb2.Check:
    has_stop = amount(entry.stop_price) is not None
    return checks_pb2.Check(
        name="stop_price",
        observed=entry.stop_price[:80],
        result=PASSED if has_stop else BLOCKED,
        detail="" if has_stop else "an entry of a strategy needs a stop",
    )
