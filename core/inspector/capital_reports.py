"""Reports what strategies use of the capital, and the signals that led to no order."""

from collections.abc import Mapping
from decimal import Decimal

from venuemesh.inspector.v1 import capital_reports_pb2

from core.inspector import risk_facts, suppressed_signals
from core.inspector.risk_reports import USED_STEP, amount_text
from core.inspector.verdict_inputs import VerdictInputs
from kit.accounting.amounts import ZERO, plain, quotient, rounded
from kit.base.database import Database
from kit.risk import equity, exposure_sums, observations
from kit.risk.exposure_sums import ExposureSum
from kit.risk.limits import EQUITY
from kit.risk.measures import Measured
from kit.risk.scopes import PositionKey, Scope, ScopeKind, limit_of

OF_STRATEGY = f"{ScopeKind.STRATEGY}:"
NO_CURRENCY = "the policy has no currency"


async def capital_use(
    database: Database, rules: VerdictInputs, request: capital_reports_pb2.GetCapitalUseRequest
) -> capital_reports_pb2.GetCapitalUseResponse:
    """The answer to a request. Raises StoreUnavailable."""
    policy, now_ns = rules.policy, rules.clock.time_ns()
    async with database.transaction() as connection:
        facts = await risk_facts.of_mesh(connection, EQUITY, rules.price, now_ns)
    mesh = Scope(ScopeKind.MESH)
    context = observations.without_order(policy, facts, PositionKey("", "", ""), now_ns)
    owned = equity.balance(context, mesh) if policy.currency else Measured(problem=NO_CURRENCY)
    limits = observations.limits_of(policy, "exposure_max")
    since_ns = request.since_time_ns or now_ns - risk_facts.DAY_NS
    suppressed, counted_ns = await suppressed_signals.summarize(
        database, rules.instrument, since_ns
    )
    return capital_reports_pb2.GetCapitalUseResponse(
        strategies=[
            _capital(one, limits, owned)
            for one in exposure_sums.of_facts(policy, facts, now_ns)
            if one.scope.startswith(OF_STRATEGY)
        ],
        equity="" if owned.problem else amount_text(owned.observed),
        currency=policy.currency,
        suppressed=suppressed,
        counted_since_time_ns=counted_ns,
        problem=owned.problem,
    )


def _capital(
    used: ExposureSum, limits: Mapping[str, Decimal], owned: Measured
) -> capital_reports_pb2.StrategyCapital:
    strategy = used.scope.removeprefix(OF_STRATEGY)
    limit = limit_of(limits, Scope(ScopeKind.STRATEGY, strategy))
    return capital_reports_pb2.StrategyCapital(
        strategy=strategy,
        asset=used.asset,
        gross=amount_text(used.gross),
        reserved=amount_text(used.open_orders),
        limit="" if limit is None else plain(limit),
        limit_used=_part(used.gross, limit),
        equity_used=_part(used.gross, None if owned.problem else owned.observed),
        problem=used.problem,
    )


def _part(part: Decimal | None, whole: Decimal | None) -> str:
    if part is None or whole is None or whole <= ZERO:
        return ""
    return plain(rounded(quotient(part, whole), USED_STEP))
