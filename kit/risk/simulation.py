"""Compares recorded verdicts with another policy, using their recorded facts.

What was open, lost or approved then is as it was recorded: what the policy would have blocked
before is in it nevertheless.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2, risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.risk import order_checks
from kit.risk.facts import NO_FACTS, RiskFacts, read_facts
from kit.risk.limits import BLOCKED, RULES, RULES_BY_NAME
from kit.risk.measures import EntryContext
from kit.risk.order_checks import NOTIONAL, RATE, amount
from kit.risk.policy import Policy
from kit.risk.scopes import PositionKey

BUY = types_pb2.SIDE_BUY
OF_POLICIES = frozenset(
    {
        *("accounts", "instruments", "strategies", "trading_hours", "closed_periods"),
        *("book_states", "order_size_max", NOTIONAL),
        *RULES_BY_NAME,
    }
)
"""Names of checks that depend on the policy. The others are as they were recorded."""


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """An order that had a verdict."""

    position_key: PositionKey
    is_buy: bool
    size: str
    prices: tuple[str, ...]
    """As EntryContext has them; "": at market."""


@dataclass(frozen=True, slots=True)
class SimulatedVerdict:
    """The verdict of another policy."""

    was_allowed: bool
    blocked_by: tuple[str, ...]
    """Names of the checks that would have blocked it, also those that no policy decides."""
    not_recorded: tuple[str, ...]
    """Names of the limits that cannot be compared, because a fact was not recorded."""

    @property
    def is_allowed(self) -> bool:
        """Whether no check blocks it, apart from the limits in ``not_recorded``."""
        return not self.blocked_by


def recorded_entry(cause: event_pb2.Event) -> RecordedEntry | None:
    """The order in an event; None for an event without one."""
    match cause.WhichOneof("payload"):
        case "decision_made":
            return _of_intent(cause.decision_made.intent)
        case "order_requested":
            requested = cause.order_requested
            contents = [requested.content, *requested.others]
            entry = orders_pb2.GROUP_ROLE_ENTRY
            found = [one for one in contents if one.group.role == entry] or contents
            return _of_contents(found)
    return None


def simulate(
    policy: Policy, given: risk_pb2.VerdictGiven, entry: RecordedEntry, time_ns: int
) -> SimulatedVerdict:
    """The verdict of a policy on an entry. ``time_ns``: of the event, for verdicts without
    the check "expiry"."""
    recorded = {check.name: check for check in given.checks}
    facts = read_facts(given.facts) or _facts_of_checks(given)
    now_ns = int(recorded["expiry"].observed) if "expiry" in recorded else time_ns
    prices = tuple(_price(text, entry, facts) for text in entry.prices)
    position_key = entry.position_key._replace(
        strategy=entry.position_key.strategy or facts.strategy
    )
    context = EntryContext(
        position_key,
        entry.is_buy,
        prices,
        now_ns,
        facts,
        policy.valuation,
        policy.groups,
        policy.maintenance_margin,
        given.mode == risk_pb2.TRADING_MODE_THROTTLED,
    )
    checks = [
        *order_checks.allow_list_checks(policy, position_key),
        order_checks.size_check(policy, position_key, entry.size),
        *policy.checks(context),
    ]
    unknown = [
        rule.name
        for rule in RULES
        for scope, _ in rule.scopes(context, policy.limits.get(rule.name, {}))
        if rule.measure(context, scope).value is None
    ]
    if facts.notional is None and NOTIONAL not in policy.waived:
        unknown.append(NOTIONAL)
    else:
        # A known value proves that there was a price.
        checks.append(order_checks.notional_check(policy, facts, Decimal(1)))
    recent = _recent(given, facts)
    if recent is not None:
        checks += order_checks.rate_checks(policy, recent)
    elif policy.entries_per_minute_max is not None:
        unknown.append(RATE)
    found = {check.name for check in checks if check.result == BLOCKED} - {*unknown}
    found |= {
        check.name
        for check in given.checks
        if check.result == BLOCKED and check.name not in OF_POLICIES
    }
    was_allowed = given.verdict == risk_pb2.VERDICT_ALLOW
    return SimulatedVerdict(was_allowed, tuple(sorted(found)), tuple(sorted({*unknown})))


def _of_intent(intent: decisions_pb2.ExecutionIntent) -> RecordedEntry:
    position_key = PositionKey(intent.venue, intent.account, intent.symbol, intent.strategy)
    prices = (intent.price or intent.reference_price,)
    return RecordedEntry(position_key, intent.side == BUY, intent.size, prices)


def _of_contents(contents: Sequence[orders_pb2.OrderContent]) -> RecordedEntry:
    """Alternatives are of one side, instrument and size."""
    first = contents[0]
    position_key = PositionKey(first.venue, first.account, first.symbol)
    prices = tuple(content.price or content.stop_price for content in contents)
    return RecordedEntry(position_key, first.side == BUY, first.size, prices)


def _price(text: str, entry: RecordedEntry, facts: RiskFacts) -> Decimal | None:
    """An order of a person at market is at the best price."""
    if text or facts.reference is None:
        return amount(text)
    return facts.reference.ask if entry.is_buy else facts.reference.bid


def _facts_of_checks(given: risk_pb2.VerdictGiven) -> RiskFacts:
    """The facts in the checks of a verdict without recorded facts."""
    for check in given.checks:
        if check.name == NOTIONAL and check.projected:
            value = Decimal(check.projected)
            return msgspec.structs.replace(NO_FACTS, notional=value, notional_asset=check.unit)
    return NO_FACTS


def _recent(given: risk_pb2.VerdictGiven, facts: RiskFacts) -> int | None:
    if facts.recent is not None:
        return sum(one.count for one in facts.recent)
    # That of the whole mesh names no scope.
    found = [one.observed for one in given.checks if one.name == RATE and not one.detail]
    return int(found[0]) if found else None
