"""Reports limits with their use, and what is open."""

from collections.abc import Mapping
from decimal import Decimal

from venuemesh.inspector.v1 import risk_reports_pb2

from core.inspector import risk_facts
from core.inspector.mode_rules import MODES
from core.inspector.verdict_inputs import VerdictInputs
from kit.accounting.amounts import plain, rounded
from kit.base.database import Database
from kit.base.paging import page_of
from kit.risk import exposure_sums, limit_uses
from kit.risk.exposure_sums import ExposureSum
from kit.risk.facts import Exposure, Losses
from kit.risk.limit_uses import LimitUse
from kit.risk.limits import SHOWN_STEP, Need
from kit.risk.policy import Policy

USED_STEP = Decimal("0.0001")


async def list_limits(
    database: Database, rules: VerdictInputs, request: risk_reports_pb2.ListLimitsRequest
) -> risk_reports_pb2.ListLimitsResponse:
    """The page of a request. Raises BadRequest, BadPageToken and StoreUnavailable."""
    policy, now_ns = rules.policy, rules.clock.time_ns()
    losses: Mapping[str, Losses] = {}
    async with database.transaction() as connection:
        facts = await risk_facts.of_mesh(connection, policy.needs, rules.price, now_ns)
        if Need.LOSSES in policy.needs:
            losses = await risk_facts.losses_of_all(connection, now_ns)
    found = [
        one
        for one in limit_uses.of_policy(policy, facts, losses, now_ns)
        if request.scope in ("", one.scope)
    ]
    found.sort(key=_limit_key)
    page, token = page_of(request, found, _limit_key)
    return risk_reports_pb2.ListLimitsResponse(
        limits=map(_limit, page),
        policy_version=policy.version.hex(),
        waived=policy.waived,
        next_page_token=token,
    )


async def list_exposures(
    database: Database, rules: VerdictInputs, request: risk_reports_pb2.ListExposuresRequest
) -> risk_reports_pb2.ListExposuresResponse:
    """The page of a request. Raises BadRequest, BadPageToken and StoreUnavailable."""
    policy, now_ns = rules.policy, rules.clock.time_ns()
    async with database.transaction() as connection:
        facts = await risk_facts.of_mesh(connection, frozenset(), rules.price, now_ns)
    exposures = [one for one in facts.exposures or () if request.venue in ("", one.venue)]
    page, token = page_of(request, exposures, lambda one: list(one.position_key))
    return risk_reports_pb2.ListExposuresResponse(
        exposures=[_exposure(policy, one) for one in page],
        sums=map(_sum, exposure_sums.of_facts(policy, facts, now_ns)),
        currency=policy.currency,
        next_page_token=token,
    )


def _limit_key(use: LimitUse) -> list[int | str]:
    return [use.name, use.scope, use.unit]


def _limit(use: LimitUse) -> risk_reports_pb2.LimitUse:
    return risk_reports_pb2.LimitUse(
        name=use.name,
        scope=use.scope,
        limit=plain(use.limit),
        observed=amount_text(use.observed),
        unit=use.unit,
        is_minimum=use.is_minimum,
        is_of_orders=use.is_of_orders,
        used="" if use.used is None else plain(rounded(use.used, USED_STEP)),
        is_beyond=use.is_beyond,
        problem=use.problem,
        escalations=[
            risk_reports_pb2.LimitEscalation(
                mode=MODES[one.mode],
                share=plain(one.share),
                release_seconds=one.release_seconds or 0,
            )
            for one in use.escalations
        ],
    )


def _exposure(policy: Policy, exposure: Exposure) -> risk_reports_pb2.OpenExposure:
    gross, problem = exposure_sums.gross_of(policy, exposure)
    return risk_reports_pb2.OpenExposure(
        venue=exposure.venue,
        account=exposure.account,
        symbol=exposure.symbol,
        strategy=exposure.strategy,
        asset=exposure.asset,
        held=amount_text(exposure.held),
        buys=amount_text(exposure.buys),
        sells=amount_text(exposure.sells),
        gross=amount_text(gross),
        problem=problem,
    )


def _sum(found: ExposureSum) -> risk_reports_pb2.ExposureSum:
    return risk_reports_pb2.ExposureSum(
        scope=found.scope,
        asset=found.asset,
        gross=amount_text(found.gross),
        net=amount_text(found.net),
        open_orders=amount_text(found.open_orders),
        problem=found.problem,
    )


def amount_text(amount: Decimal | None) -> str:
    """As shown; "": not known."""
    return "" if amount is None else plain(rounded(amount, SHOWN_STEP))
