"""What the inspector has let pass, and how long positions were without their stop."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
from venuemesh.events.v1 import checks_pb2, event_pb2, risk_pb2
from venuemesh.inspector.v1 import risk_reports_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk.limits import RULES_BY_NAME

ReadRows = Callable[..., Sequence[tuple[Any, ...]]]
LOOK_SECONDS = 0.5
BLOCKED = checks_pb2.CHECK_RESULT_BLOCKED
PROTECTED = risk_reports_pb2.PROTECTION_STATE_PROTECTED
UNKNOWN = risk_reports_pb2.PROTECTION_STATE_UNKNOWN
WITHOUT_STOP = (
    risk_reports_pb2.PROTECTION_STATE_UNCONFIRMED,
    risk_reports_pb2.PROTECTION_STATE_UNPROTECTED,
)
_STATES = (
    "SELECT position_id, state, state_time_ns FROM inspector_protections"
    " JOIN inspector_positions USING (position_id) WHERE ended_time_ns = 0 AND state_size <> '0'"
)
_RISK = "SELECT body FROM events WHERE stream = 'risk' ORDER BY sequence"


class RiskFindings(msgspec.Struct, kw_only=True):
    """What was found."""

    entries_allowed: int = 0
    entries_refused: int = 0
    refused_by: dict[str, int] = {}
    """Checks that were not passed; an entry may have several."""
    limit_breaches: list[str] = []
    """Entries that were allowed although a value of the verdict is beyond its limit."""
    modes_by_rule: dict[str, int] = {}
    """Changes by scope, rule and mode."""
    stops_trailed: int = 0
    """Moves of stops."""
    positions: int = 0
    """Of strategies, that had a stop, or lacked it."""
    unprotected_seconds: dict[str, float] = {}
    """p50, p99 and max of the times without a stop, with 0 for a position that never lacked it."""
    unknown_seconds: dict[str, float] = {}
    """The same of the times in which the venue's process did not say whether the stop was there."""


class UnprotectedTimes:
    """Follows the stops of positions, as the inspector has stored what it found of them."""

    def __init__(self, read_rows: ReadRows) -> None:
        self._read_rows = read_rows
        self._since_ns: dict[bytes, int] = {}
        self._unknown_since_ns: dict[bytes, int] = {}
        self._seen: set[bytes] = set()
        self.seconds: list[float] = []
        self.unknown_seconds: list[float] = []

    async def run(self) -> None:
        """Look until cancelled. While the database is away nothing is seen."""
        while True:
            with suppress(psycopg.OperationalError):
                rows = await asyncio.to_thread(self._read_rows, _STATES)
                self.add(rows, time.time_ns())
            await asyncio.sleep(LOOK_SECONDS)

    def add(self, rows: Iterable[tuple[Any, ...]], now_ns: int) -> None:
        """Add what is stored now of all open positions: id, state, and since when it is so."""
        found: set[bytes] = set()
        for position_id, state, time_ns in rows:
            key = bytes(position_id)
            found.add(key)
            if state == UNKNOWN:
                # Whether it still lacks the stop is not known: then the time goes on.
                self._unknown_since_ns.setdefault(key, time_ns)
                continue
            _end(self._unknown_since_ns, key, time_ns, self.unknown_seconds)
            if state in WITHOUT_STOP:
                self._seen.add(key)
                self._since_ns.setdefault(key, time_ns)
                continue
            _end(self._since_ns, key, time_ns, self.seconds)
            if state == PROTECTED and key not in self._seen:
                self._seen.add(key)
                self.seconds.append(0.0)
        for since_ns, ended in (
            (self._since_ns, self.seconds),
            (self._unknown_since_ns, self.unknown_seconds),
        ):
            for key in since_ns.keys() - found:
                _end(since_ns, key, now_ns, ended)


def _end(since_ns: dict[bytes, int], key: bytes, now_ns: int, ended: list[float]) -> None:
    began_ns = since_ns.pop(key, None)
    if began_ns is not None:
        ended.append((now_ns - began_ns) / NANOSECONDS_PER_SECOND)


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max; empty if there are none."""
    found = sorted(seconds)
    if not found:
        return {}
    last = len(found) - 1
    return {"p50": found[last // 2], "p99": found[-(-last * 99 // 100)], "max": found[-1]}


def findings(read_rows: ReadRows, times: UnprotectedTimes) -> RiskFindings:
    """Compare every recorded verdict on an entry with its own checks."""
    found = RiskFindings(
        positions=len(times.seconds),
        unprotected_seconds=percentiles(times.seconds),
        unknown_seconds=percentiles(times.unknown_seconds),
    )
    refused_by, modes = Counter[str](), Counter[str]()
    for (body,) in read_rows(_RISK):
        event = event_pb2.Event.FromString(bytes(body))
        given, changed = event.verdict_given, event.mode_changed
        found.stops_trailed += event.HasField("stop_trailed")
        if changed.rule:
            mode = risk_pb2.TradingMode.Name(changed.after).removeprefix("TRADING_MODE_")
            modes[f"{changed.scope} {changed.rule} {mode}"] += 1
        if not event.HasField("verdict_given") or given.is_reduction:
            continue
        if given.verdict != risk_pb2.VERDICT_ALLOW:
            found.entries_refused += 1
            blocked = {one.name for one in given.checks if one.result == BLOCKED}
            refused_by.update(blocked)
            continue
        found.entries_allowed += 1
        beyond = [one.name for one in given.checks if _is_beyond(one)]
        if beyond:
            found.limit_breaches.append(f"{event.event_id.hex()}: {', '.join(beyond)}")
    found.refused_by, found.modes_by_rule = dict(refused_by), dict(modes)
    return found


def _is_beyond(check: checks_pb2.Check) -> bool:
    if check.result == BLOCKED:
        return True
    rule = RULES_BY_NAME.get(check.name)
    if rule is None or not check.limit or not check.projected:
        return False
    value, limit = Decimal(check.projected), Decimal(check.limit)
    return value < limit if rule.is_minimum else value > limit


def lines(found: RiskFindings) -> list[str]:
    text = [
        f"entries: {found.entries_allowed:,} allowed, {found.entries_refused:,} refused",
        f"refused by: {listed(found.refused_by)}",
        f"modes by rule: {listed(found.modes_by_rule)}",
        f"stops moved: {found.stops_trailed:,}",
    ]
    for name, times in (
        (f"without a stop ({found.positions:,} times)", found.unprotected_seconds),
        ("not known whether there is a stop", found.unknown_seconds),
    ):
        parts = ", ".join(f"{part} {value:.2f} s" for part, value in times.items())
        text.append(f"{name}: {parts or 'never'}")
    return text


def listed(counts: Mapping[str, int]) -> str:
    """The sum, and each count."""
    named = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f"{sum(counts.values()):,} ({named})"
