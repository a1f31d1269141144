"""The verdict on what is wanted: a pure function of the policy, the state and the order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, risk_pb2

from core.inspector.modes import Mode, mode_name
from core.inspector.policy import Policy
from kit.accounting import instruments
from kit.accounting.amounts import ZERO, add, plain

PASSED = checks_pb2.CHECK_RESULT_PASSED
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
NOTED = checks_pb2.CHECK_RESULT_NOTED
ACTIVE = risk_pb2.TRADING_MODE_ACTIVE
RATE = "entries_per_minute_max"
MODE = "mode"
CLOSING_ALL = risk_pb2.TRADING_MODE_CLOSING_ALL
DIGITS_MAX = 40


@dataclass(frozen=True, slots=True)
class ProposedEntry:
    """An order that may open a position. Amounts are text as they were received."""

    venue: str
    account: str
    symbol: str
    size: str
    price: str
    """The limit price, or the reference price of a market order."""
    stop_price: str = ""
    expires_time_ns: int = 0
    """0: it does not expire."""
    is_of_strategy: bool = True
    """A person may place an order without a stop, and several in an instrument."""


@dataclass(frozen=True, slots=True)
class RiskState:
    """What an order is compared with."""

    now_ns: int
    modes: Mapping[str, Mode]
    """The modes that apply, by scope."""
    instrument: types_pb2.Instrument | None
    """None: it is not known."""
    open_positions: int
    """Of the strategy in the instrument: 0 or 1."""
    recent_entries: int
    """Approved within the last minute."""

    @property
    def mode(self) -> Mode:
        """The strictest of the modes that apply."""
        return max(self.modes.values())


@dataclass(frozen=True, slots=True)
class CheckedVerdict:
    """A verdict, and every limit that was looked at."""

    verdict: "risk_pb2.Verdict.ValueType"
    checks: Sequence[checks_pb2.Check]
    mode: Mode
    is_reduction: bool = False

    @property
    def is_allowed(self) -> bool:
        return self.verdict == risk_pb2.VERDICT_ALLOW


def verdict_on_entry(policy: Policy, state: RiskState, entry: ProposedEntry) -> CheckedVerdict:
    """Compare an order with every limit."""
    size, price = amount(entry.size), amount(entry.price)
    checks = [
        _mode_check(state, BLOCKED),
        _allowed("accounts", f"{entry.venue}/{entry.account}", policy.accounts,
                 policy.allows_account(entry.venue, entry.account)),
        _allowed("instruments", f"{entry.venue}/{entry.symbol}", policy.instruments,
                 policy.allows_instrument(entry.venue, entry.symbol)),
        _expiry_check(state, entry),
        _size_check(policy, entry, size),
        _notional_check(policy, state.instrument, size, price),
        _rate_check(policy, state),
    ]  # fmt: skip
    if entry.is_of_strategy:
        checks += [_position_check(state), _stop_check(entry)]
    return CheckedVerdict(_verdict(state, checks), checks, state.mode)


def verdict_on_reduction(
    state: RiskState, checks: Sequence[checks_pb2.Check] = ()
) -> CheckedVerdict:
    """A reduction and a cancel are always allowed. ``checks``: what was found out about it."""
    found = [_mode_check(state, NOTED), *checks]
    return CheckedVerdict(risk_pb2.VERDICT_ALLOW, found, state.mode, is_reduction=True)


def blocked(verdict: CheckedVerdict, name: str, observed: str, detail: str) -> CheckedVerdict:
    """The verdict with one more check, which blocks."""
    check = checks_pb2.Check(name=name, observed=observed, result=BLOCKED, detail=detail)
    return CheckedVerdict(risk_pb2.VERDICT_BLOCK, [*verdict.checks, check], verdict.mode)


def _verdict(state: RiskState, checks: Sequence[checks_pb2.Check]) -> "risk_pb2.Verdict.ValueType":
    names = {check.name for check in checks if check.result == BLOCKED}
    if MODE in names:
        is_closing = state.mode == CLOSING_ALL
        return risk_pb2.VERDICT_CLOSE_ALL if is_closing else risk_pb2.VERDICT_STAND_DOWN
    if names == {RATE}:
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
        result=PASSED if state.mode == ACTIVE else otherwise,
        detail="" if state.mode == ACTIVE else f"of {', '.join(strict)}",
    )


def _allowed(name: str, value: str, limit: Sequence[str], is_allowed: bool) -> checks_pb2.Check:
    result = PASSED if is_allowed else BLOCKED
    text = ", ".join(limit) or "none: name it in the policy file"
    return checks_pb2.Check(name=name, observed=value, limit=text, result=result)


def _expiry_check(state: RiskState, entry: ProposedEntry) -> checks_pb2.Check:
    ends_ns = entry.expires_time_ns
    return checks_pb2.Check(
        name="expiry",
        observed=str(state.now_ns),
        limit=str(ends_ns) if ends_ns else "",
        unit="ns",
        result=PASSED if not ends_ns or state.now_ns < ends_ns else BLOCKED,
    )


def _size_check(policy: Policy, entry: ProposedEntry, size: Decimal | None) -> checks_pb2.Check:
    limit = policy.order_size_max.get(f"{entry.venue}/{entry.symbol}")
    is_within = size is not None and (limit is None or size <= limit)
    return checks_pb2.Check(
        name="order_size_max",
        projected=entry.size[:80],
        limit="" if limit is None else plain(limit),
        unit="size_unit",
        result=PASSED if is_within else BLOCKED,
        detail="" if size is not None else "the size is no amount above 0",
    )


def _notional_check(
    policy: Policy,
    instrument: types_pb2.Instrument | None,
    size: Decimal | None,
    price: Decimal | None,
) -> checks_pb2.Check:
    check = checks_pb2.Check(name="order_notional_max", result=BLOCKED)
    if instrument is None:
        check.detail = "the venue does not list the instrument, or has not answered"
        return check
    check.unit = instruments.notional_asset(instrument)
    limit = policy.order_notional_max.get(check.unit)
    value = None if size is None else instruments.notional_in_asset(instrument, size, price)
    if limit is not None:
        check.limit = plain(limit)
    if value is not None:
        check.projected = plain(value)
    if limit is None:
        check.detail = f"the policy has no limit in {check.unit}"
    elif value is None or price is None:
        check.detail = "the value is not known: no size, no price, or no terms of the contract"
    elif value <= limit:
        check.result = PASSED
    return check


def _rate_check(policy: Policy, state: RiskState) -> checks_pb2.Check:
    limit = policy.entries_per_minute_max
    return checks_pb2.Check(
        name=RATE,
        observed=str(state.recent_entries),
        projected=str(state.recent_entries + 1),
        limit=str(limit),
        unit="orders",
        result=PASSED if state.recent_entries < limit else BLOCKED,
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


def amount(text: str) -> Decimal | None:
    """An amount above 0; None for any other text."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount <= ZERO or abs(amount.adjusted()) > DIGITS_MAX:
        return None
    return amount
