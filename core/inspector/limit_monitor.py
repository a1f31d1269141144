"""Sets modes when limits are reached, and ends them, as the policy says."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from venuemesh.events.v1 import event_pb2
from venuemesh.inspector.v1 import inspector_pb2

from core.inspector import equity_marks, mode_rules, modes, risk_facts
from core.inspector.entry_fences import EntryFence, EntryFences
from core.inspector.mode_changes import enter
from core.inspector.mode_rules import MODES, TriggerKey
from core.inspector.submissions import RISK
from core.inspector.transactions import exclusive_transaction
from core.inspector.verdict_inputs import VerdictInputs
from kit.accounting.amounts import plain, rounded
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.waiting import is_set_within
from kit.events import event_log
from kit.events.leases import Lease
from kit.risk import equity, escalation, observations
from kit.risk.escalation import Observation, Trigger
from kit.risk.facts import Losses, RiskFacts
from kit.risk.limits import SHOWN_STEP, Need
from kit.risk.measures import EntryContext
from kit.risk.policy import Policy

LOOK_SECONDS = 1.0
PAUSE_SECONDS = 0.1
"""Between two looks, however often something changes."""


class LimitMonitor:
    """Compares what is held, earned and lost with the limits that set modes, while its process has
    the lease."""

    def __init__(
        self,
        database: Database,
        rules: VerdictInputs,
        lease: Lease,
        fences: EntryFences,
        degraded_reasons: DegradedReasons,
    ) -> None:
        self._fences = fences
        self._database = database
        self._rules = rules
        self._lease = lease
        self._degraded_reasons = degraded_reasons
        self._wake = asyncio.Event()
        self.after_commit: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Look at once: something has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled. Raises LeaseLost."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    made = await self.look()
                    if made:
                        group.create_task(self._send(made))
                except StoreUnavailable as error:
                    self._degraded_reasons.report(POSTGRESQL, error.message)
                await self._rules.clock.sleep(PAUSE_SECONDS)
                await is_set_within(self._wake, LOOK_SECONDS)

    async def _send(self, made: Sequence[EntryFence]) -> None:
        """What is not sent here, the task of the fences sends."""
        with suppress(StoreUnavailable):
            await self._fences.send_all(made)

    async def look(self) -> list[EntryFence]:
        """Look once. Returns the fences that are to be sent. Raises LeaseLost,
        StoreUnavailable."""
        policy = self._rules.policy
        if not policy.escalations and Need.EQUITY not in policy.needs:
            return []
        entered: list[tuple[event_pb2.Event, list[EntryFence]]] = []
        async with exclusive_transaction(self._database, self._lease) as connection:
            policy, now_ns = self._rules.policy, self._rules.clock.time_ns()
            facts = await risk_facts.of_mesh(connection, policy.needs, self._rules.price, now_ns)
            if Need.EQUITY in policy.needs:
                profits = dict(_profits(policy, facts, now_ns))
                await equity_marks.raise_to(connection, profits, policy.valuation.text)
            if policy.escalations:
                entered = await self._escalate(connection, policy, facts, now_ns)
            if entered:
                events = [event for event, _ in entered]
                await event_log.append(connection, RISK, events, now_ns)
        if entered:
            self.after_commit()
        return [fence for _, made in entered for fence in made]

    async def _escalate(
        self, connection: Connection, policy: Policy, facts: RiskFacts, now_ns: int
    ) -> list[tuple[event_pb2.Event, list[EntryFence]]]:
        """Set and end modes. Returns their events, and the fences."""
        losses: dict[str, Losses] = {}
        if Need.LOSSES in policy.needs:
            losses = await risk_facts.losses_of_all(connection, now_ns)
        before = await mode_rules.load(connection)
        after, seen = dict(before), dict[TriggerKey, Observation]()
        for found in observations.of_policy(policy, facts, losses, now_ns):
            seen[found.key] = found
            trigger = escalation.next_trigger(before.get(found.key), found, now_ns)
            if trigger != before.get(found.key):
                await mode_rules.keep(connection, found.key, trigger)
            if trigger is None:
                after.pop(found.key, None)
            else:
                after[found.key] = trigger
        made = []
        for scope in sorted({key[0] for key in before.keys() | after.keys()}):
            state = await self._next_mode(connection, scope, before, after, seen)
            if state is not None:
                state.changed_time_ns = now_ns
                made.append(await enter(connection, state, self._rules.world))
        return made

    async def _next_mode(
        self,
        connection: Connection,
        scope: str,
        before: Mapping[TriggerKey, Trigger],
        after: Mapping[TriggerKey, Trigger],
        seen: Mapping[TriggerKey, Observation],
    ) -> inspector_pb2.ModeState | None:
        """The mode that follows from the rules; None if it is that of now."""
        mode, set_mode = await modes.of_scope(connection, scope, self._rules.world)
        key = mode_rules.strictest(after, scope)
        wanted = set_mode if key is None else max(set_mode, MODES[key[2]])
        if wanted == mode:
            return None
        # A mode that became less strict has its cause in the rule that has ended.
        cause = mode_rules.strictest(before, scope) if wanted < mode else key
        if cause is None:
            return None
        reason = _reason(cause, seen.get(cause))
        return inspector_pb2.ModeState(scope=scope, mode=wanted, rule=cause[1], reason=reason)


def _profits(policy: Policy, facts: RiskFacts, now_ns: int) -> Iterator[tuple[str, Decimal]]:
    """The profit of each scope, as far as it is known."""
    for scope, position_key in observations.all_scopes(facts):
        context = EntryContext(
            position_key, True, (), now_ns, facts, policy.valuation, policy.groups
        )
        found = equity.profit(context, scope).value
        if found is not None:
            yield scope.key, found


def _reason(key: TriggerKey, seen: Observation | None) -> str:
    """Why a mode changes, for a person."""
    scope, name, _ = key
    if seen is None or seen.value is None:
        return f"{name} of {scope}"
    value, limit = plain(rounded(seen.value, SHOWN_STEP)), plain(seen.limit)
    share = seen.escalation.share
    of = limit if share == 1 else f"{limit}, from a share of {plain(share)} on"
    if seen.is_beyond:
        return f"{name} of {scope}: {value} is beyond {of}"
    seconds = seen.escalation.release_seconds
    return f"{name} of {scope}: {value} was within {of} for {seconds} s"
