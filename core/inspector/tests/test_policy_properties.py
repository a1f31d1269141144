"""What must hold whatever the policy is."""

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import manual_requests
from core.inspector.manual_requests import AMEND, CANCEL, FLATTEN, PLACE, OrderFacts
from core.inspector.modes import SETTABLE
from core.inspector.tests.rig import DECISIONS, SPOT, START_NS, close, decision
from core.inspector.tests.test_limits import limited
from core.inspector.verdicts import ProposedEntry, RiskState, verdict_on_entry
from kit.risk.facts import NO_FACTS
from kit.risk.limits import RULES, RULES_BY_NAME
from kit.risk.policy import Policy
from kit.risk.tests.contexts import FACTS, exposure
from kit.risk.trading_hours import TradingHours
from tests.support.waiting import eventually

ALLOW = risk_pb2.VERDICT_ALLOW
EXIT = orders_pb2.GROUP_ROLE_EXIT
ENTRY = ProposedEntry(
    "binance", "main", "BTCUSDT", "0.01", "60000", "59000", START_NS + 1, strategy="ema"
)
ONE = st.sampled_from([Decimal(0), Decimal(1), Decimal(10**12)])
POLICIES = st.builds(
    Policy,
    accounts=st.sampled_from([(), ("*",)]),
    instruments=st.sampled_from([(), ("*",)]),
    strategies=st.sampled_from([(), ("*",)]),
    order_notional_max=st.dictionaries(st.just("USDT"), ONE),
    entries_per_minute_max=st.sampled_from([None, 0, 9]),
    trading_hours=st.sampled_from([(), (TradingHours(start="00:00", end="00:01"),)]),
    limits=st.dictionaries(
        st.sampled_from([*RULES_BY_NAME]), st.dictionaries(st.just("mesh"), ONE, min_size=1)
    ),
    currency=st.sampled_from(["", "USDT"]),
)
MODES = st.sampled_from(SETTABLE)
KNOWN = st.sampled_from([NO_FACTS, FACTS])


@st.composite
def reductions(draw):
    """A request that only reduces, and what is known of its orders."""
    content = orders_pb2.OrderContent(
        venue="binance", account="main", symbol="BTCUSDT", size=draw(st.sampled_from(["1", "x"])),
        side=manual_requests.SELL,
    )  # fmt: skip
    operation = draw(st.sampled_from([PLACE, AMEND, CANCEL, FLATTEN]))
    known = OrderFacts()
    if operation == AMEND:
        target = orders_pb2.Order()
        target.content.group.role = EXIT
        known = OrderFacts(target=target)
    elif operation == PLACE and draw(st.booleans()):
        content.size = "1"
        known = OrderFacts(SPOT, free=Decimal(1))
    elif operation == PLACE:
        content.reduce_only = True
    request = inspector_pb2.SubmitManualRequest(operation=operation, content=content)
    return request, known


@given(POLICIES, MODES, KNOWN, reductions())
def test_no_policy_and_no_mode_blocks_a_reduction(policy, mode, facts, reduction):
    request, known = reduction
    state = RiskState(START_NS, {"mesh": mode}, None, 1, 1_000, facts)
    verdict = manual_requests.verdict(request, policy, state, known)
    assert (verdict.verdict, verdict.is_reduction) == (ALLOW, True)


@given(POLICIES, KNOWN)
@settings(max_examples=200)
def test_entry_is_allowed_only_if_each_limit_of_the_policy_was_checked(policy, facts):
    facts = msgspec.structs.replace(facts, exposures=(exposure(5),))
    # In which every limit is looked at.
    mode = {"mesh": risk_pb2.TRADING_MODE_THROTTLED}
    state = RiskState(START_NS, mode, SPOT, 0, 3, facts)
    verdict = verdict_on_entry(policy, state, ENTRY)
    checked = {check.name for check in verdict.checks}
    wanted = {rule.name for rule in RULES if "mesh" in rule.kinds} & policy.limits.keys()
    assert wanted <= checked
    again = verdict_on_entry(policy, with_facts(state, verdict.facts), ENTRY)
    assert [*again.checks] == [*verdict.checks]
    if verdict.is_allowed:
        assert policy.accounts == policy.instruments == ("*",)
        assert policy.order_notional_max.get("USDT", Decimal(0)) >= 600


def with_facts(state, facts):
    """The state with the facts that the verdict has recorded."""
    return RiskState(
        state.now_ns, state.modes, state.instrument, state.open_positions, state.recent_entries,
        facts,
    )  # fmt: skip


async def test_approved_entries_stay_within_the_exposure_and_each_is_closed(rig):
    await rig.start(policy=limited(exposure_max={"mesh": "1800"}, positions_max={"mesh": "9"}))
    entry = {"type": orders_pb2.ORDER_TYPE_LIMIT, "price": "60000"}
    names = [f"s{number}" for number in range(6)]
    await rig.put(DECISIONS, *[
        decision(number, strategy=name, **entry) for number, name in enumerate(names)
    ])  # fmt: skip

    async def are_given(count):
        return len(await rig.verdicts()) >= count

    await eventually(lambda: are_given(6))
    allowed = [one.verdict == ALLOW for one in await rig.verdicts()]
    assert allowed == [True] * 3 + [False] * 3
    await rig.put(DECISIONS, *[
        close(10 + number, strategy=name) for number, name in enumerate(names)
    ])  # fmt: skip
    await eventually(lambda: are_given(12))
    assert all(one.verdict == ALLOW for one in (await rig.verdicts())[6:12])
