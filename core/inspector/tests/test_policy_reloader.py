"""A policy that changes while the inspector runs."""

import os

import pytest
from venuemesh.events.v1 import risk_pb2

from core.inspector.policy import load
from core.inspector.policy_reloader import PROBLEM, PolicyFile, PolicyReloader
from core.inspector.tests.rig import DECISIONS, decision
from kit.base.errors import SettingError, StoreUnavailable
from kit.base.reloaded_file import READ_INTERVAL_NS
from kit.risk.policy import OPEN_POLICY, Policy
from tests.support.waiting import eventually

TEXT = 'accounts = ["*"]\ninstruments = ["*"]\norder_notional_max = { USDT = 100000 }\n'
ONE = f"{TEXT}entries_per_minute_max = 1\n"
TWO = f"{TEXT}entries_per_minute_max = 2\n"


class Changing:
    """A rig with a policy file."""

    def __init__(self, rig, file):
        self.rig, self.file = rig, file
        self.writes = 0

    def write(self, text):
        self.writes += 1
        self.file.write_text(text)
        # However fast the test writes, each time is another one.
        os.utime(self.file, ns=(self.writes, self.writes))
        self.rig.clock.now_ns += READ_INTERVAL_NS

    async def start(self, world="simulate"):
        process = await self.rig.start(policy=load(str(self.file), world))
        self.rules = process.rules
        return self.changes(process, world)

    def changes(self, process, world="simulate"):
        clock = self.rig.clock
        file = PolicyFile(str(self.file) if self.file.exists() else "", world, clock)
        return PolicyReloader(
            file, process.rules, process.database, process.lease, process.reasons, clock
        )

    async def events(self):
        return [one for one in await self.rig.events() if one.HasField("policy_changed")]


@pytest.fixture
def changing(rig, tmp_path):
    found = Changing(rig, tmp_path / "policy.toml")
    found.write(ONE)
    return found


async def acts(process):
    async def is_acting():
        return process.active.is_active

    await eventually(is_acting)


async def test_each_change_is_an_event_and_holds_for_the_next_verdict(rig, changing):
    changes = await changing.start()
    await acts(rig.process)
    await changes.refresh()
    await changes.refresh()
    (first,) = await changing.events()
    assert first.policy_changed.before == ""
    await rig.put(DECISIONS, decision(1), decision(2, strategy="other"))
    await until_verdicts(rig, 2)
    changing.write(TWO)
    await changes.refresh()
    _, second = await changing.events()
    changed = second.policy_changed
    assert changed.before_version == first.policy_changed.after_version
    assert changed.before == first.policy_changed.after
    assert (changed.after_version, changed.after) == (
        second.config_hash.hex(), changing.rules.policy.text
    )  # fmt: skip
    assert changed.file_owner == changing.file.owner()
    await rig.put(DECISIONS, decision(3, strategy="third"))
    verdicts = await until_verdicts(rig, 3)
    assert [one.verdict for one in verdicts] == [
        risk_pb2.VERDICT_ALLOW, risk_pb2.VERDICT_THROTTLE, risk_pb2.VERDICT_ALLOW
    ]  # fmt: skip
    versions = [one.policy_version for one in verdicts]
    assert versions == [changed.before_version] * 2 + [changed.after_version]


async def test_policy_that_returns_is_another_change_and_a_restart_is_none(rig, changing):
    changes = await changing.start()
    await acts(rig.process)
    for text in (ONE, TWO, ONE):
        changing.write(text)
        await changes.refresh()
    await changing.changes(rig.process).refresh()
    found = await changing.events()
    assert len({one.event_id for one in found}) == len(found) == 3
    await changes.begin()
    assert len(await changing.events()) == 3


async def test_policy_is_recorded_before_the_first_verdict_of_a_process(rig, changing):
    process = await rig.start(policy=Policy())
    changes = changing.changes(process)
    process.active._begin = changes.begin
    await rig.put(DECISIONS, decision(1))
    (verdict,) = await until_verdicts(rig, 1)
    assert verdict.verdict == risk_pb2.VERDICT_ALLOW
    kinds = [one.WhichOneof("payload") for one in await rig.events()]
    assert kinds[:2] == ["policy_changed", "verdict_given"]


@pytest.mark.parametrize("text", ["positions_max = -1", "=", None])
async def test_bad_file_leaves_the_policy_in_force_and_is_a_reason(rig, changing, text):
    changes = await changing.start()
    await acts(rig.process)
    await changes.refresh()
    before = changing.rules.policy
    if text is None:
        changing.file.unlink()
        rig.clock.now_ns += READ_INTERVAL_NS
    else:
        changing.write(text)
    await changes.refresh()
    assert changing.rules.policy == before
    assert len(await changing.events()) == 1
    reason = rig.process.reasons._details[PROBLEM]
    assert "the policy that was read before stays" in reason
    changing.write(TWO)
    await changes.refresh()
    assert PROBLEM not in rig.process.reasons._details
    assert changing.rules.policy.entries_per_minute_max == 2


async def test_live_policy_with_a_limit_that_is_missing_neither_starts_nor_replaces(rig, changing):
    with pytest.raises(SettingError, match="exposure_max: missing"):
        PolicyFile(str(changing.file), "live", rig.clock)
    changing.file.unlink()
    assert PolicyFile("", "live", rig.clock).policy == Policy()
    assert PolicyFile("", "simulate", rig.clock).policy is OPEN_POLICY


async def test_change_that_cannot_be_recorded_is_not_in_force(rig, changing):
    changes = await changing.start()
    await acts(rig.process)
    await changes.refresh()
    before = changing.rules.policy
    changing.write(TWO)

    async def fail(connection, policy):
        raise StoreUnavailable("the test says so")

    recorded, changes._record = changes._record, fail
    with pytest.raises(StoreUnavailable):
        await changes.refresh()
    assert changing.rules.policy is before
    changes._record = recorded
    await changes.refresh()
    assert changing.rules.policy.entries_per_minute_max == 2


async def until_verdicts(rig, count):
    async def are_there():
        return len(await rig.verdicts()) >= count

    await eventually(are_there)
    return await rig.verdicts()
