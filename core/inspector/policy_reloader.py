"""Applies a changed policy file while the inspector runs."""

from pathlib import Path

from venuemesh.events.v1 import event_pb2

from core.inspector import policy as policies
from core.inspector.first_events import first_event
from core.inspector.submissions import RISK
from core.inspector.transactions import exclusive_transaction
from core.inspector.verdict_inputs import VerdictInputs
from kit.base.clock import Clock
from kit.base.database import Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.reloaded_file import ReloadedFile
from kit.events import event_log
from kit.events.leases import Lease
from kit.risk.policy import Policy

LOOK_AGAIN_SECONDS = 1.0
PROBLEM = "policy"
INSTANCE = "policy"

_NEWEST = (
    "SELECT body, (SELECT count(*) FROM events WHERE subject = 'policy') FROM events"
    " WHERE subject = 'policy' ORDER BY sequence DESC LIMIT 1"
)


class PolicyFile:
    """The file of the policy, read again when it has changed."""

    def __init__(self, file: str, world: str, clock: Clock) -> None:
        """``file``: "" for the default policy of the world. Raises SettingError for an unreadable
        file, or one that lacks a limit that the world requires."""
        self._file = file
        self._fixed = policies.load(file, world)
        self._read: ReloadedFile[Policy] | None = None
        if file:
            self._read = ReloadedFile(
                Path(file),
                lambda path: policies.load(str(path), world),
                clock,
                missing=None,
                unreadable=None,
            )

    @property
    def policy(self) -> Policy:
        """The newest valid policy of the file."""
        return self._fixed if self._read is None else self._read.content

    @property
    def problem(self) -> str:
        """Why the file is unreadable or invalid now; "" if it is valid."""
        return "" if self._read is None else self._read.problem

    @property
    def owner(self) -> str:
        """The name of the file's owner; "" if the owner has none."""
        try:
            return Path(self._file).owner() if self._file else ""
        except (OSError, KeyError):
            return ""


class PolicyReloader:
    """Applies changes of the policy, each with its event."""

    def __init__(
        self,
        file: PolicyFile,
        rules: VerdictInputs,
        database: Database,
        lease: Lease,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._file = file
        self._rules = rules
        self._database = database
        self._lease = lease
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._recorded = b""
        """The policy version in the newest event that this process has stored or read."""

    async def begin(self) -> None:
        """Read the file when this process becomes active: the event of a policy precedes its first
        verdict. Raises LeaseLost and StoreUnavailable."""
        # Another process may have been active in between, with another policy.
        self._recorded = b""
        await self.refresh()

    async def run(self) -> None:
        """Apply each change of the file. Runs forever. Raises LeaseLost and StoreUnavailable."""
        while True:
            await self.refresh()
            await self._clock.sleep(LOOK_AGAIN_SECONDS)

    async def refresh(self) -> None:
        """Read the file and apply a change."""
        policy, problem = self._file.policy, self._file.problem
        if problem:
            text = f"the file was not read, the policy that was read before stays: {problem}"
            self._degraded_reasons.report(PROBLEM, text)
        else:
            self._degraded_reasons.clear(PROBLEM)
        if policy.version == self._recorded:
            return
        before = self._rules.policy
        try:
            # Verdicts wait for this transaction: each uses the policy before it or after it.
            async with exclusive_transaction(self._database, self._lease) as connection:
                await self._record(connection, policy)
                self._rules.policy = policy
        except BaseException:
            self._rules.policy = before
            raise
        self._recorded = policy.version

    async def _record(self, connection: Connection, policy: Policy) -> None:
        row = await (await connection.execute(_NEWEST)).fetchone()
        newest, count = event_pb2.Event(), 0
        if row is not None:
            newest, count = event_pb2.Event.FromString(bytes(row[0])), row[1]
        before = newest.policy_changed
        if before.after_version == policy.version.hex():
            return
        # Nothing in the mesh is the cause: the number of the change names it.
        event = first_event(INSTANCE, f"policy {count + 1}", self._clock.time_ns())
        event.config_hash = policy.version
        changed = event.policy_changed
        changed.before_version, changed.before = before.after_version, before.after
        changed.after_version, changed.after = policy.version.hex(), policy.text
        changed.file_owner = self._file.owner
        await event_log.append(connection, RISK, [event], event.time_ns)
