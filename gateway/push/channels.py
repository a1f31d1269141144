"""The channels, what a subscription of each says, and the roles that it needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FileDescriptor
from venuemesh.admin.v1 import admin_pb2
from venuemesh.bars.v1 import bars_pb2
from venuemesh.events.v1 import events_pb2
from venuemesh.live.v1 import live_pb2
from venuemesh.registry.v1 import registry_pb2

from gateway.push.requests import Subscription
from gateway.push.updates import Position, parse_position
from kit.base.access.call_guard import GuardedMethod, require_role
from kit.base.access.roles import Role
from kit.base.access.tokens import Caller
from kit.base.admin import LOG_LEVELS
from kit.base.errors import BadRequest, NotSupported
from kit.base.suggestions import did_you_mean

LOSSLESS, CONFLATED = "lossless", "conflated"
INTERVAL_MS_MAX = 60_000
DEPTH_DEFAULT = 20
FIELDS = ("venue", "symbol", "interval", "service", "level", "logger")
"""Fields that say what of a channel is wanted."""


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel."""

    method: GuardedMethod
    """Where the same data can be read at the other doors: its roles are needed here too."""
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    deliveries: tuple[str, ...] = (CONFLATED, LOSSLESS)
    """The first is the default."""
    cursor_numbers: int = 2
    interval_ms_min: int = 10
    interval_ms_default: int = 100
    has_depth: bool = False
    keeps_newest: bool = False
    """Whether a lossless topic begins with the newest row of each key."""
    keeps_history: bool = False
    """Whether a lossless subscription without a cursor begins with all that its topic keeps."""


def _method(file: FileDescriptor, service: str, method: str) -> GuardedMethod:
    return GuardedMethod.of(file.services_by_name[service].methods_by_name[method])


_LIVE = _method(live_pb2.DESCRIPTOR, "Live", "Subscribe")
_EVENTS = ChannelSpec(
    _method(events_pb2.DESCRIPTOR, "Events", "Subscribe"),
    deliveries=(LOSSLESS, CONFLATED),
    cursor_numbers=1,
)
CONNECTED = GuardedMethod("/ws", frozenset({Role.VIEWER}), is_mutating=False)
"""The connection itself."""
CHANNELS: Mapping[str, ChannelSpec] = {
    "quotes": ChannelSpec(_LIVE, ("venue",), ("symbol",), keeps_newest=True),
    "trades": ChannelSpec(_LIVE, ("venue",), ("symbol",), (LOSSLESS, CONFLATED)),
    "books": ChannelSpec(_LIVE, ("venue",), ("symbol",), has_depth=True),
    "tickers": ChannelSpec(_LIVE, ("venue",), ("symbol",), keeps_newest=True),
    "marks": ChannelSpec(_LIVE, ("venue",), ("symbol",), keeps_newest=True),
    "bars": ChannelSpec(
        _method(bars_pb2.DESCRIPTOR, "Bars", "Subscribe"),
        ("venue", "symbol"),
        ("interval",),
        (CONFLATED,),
        interval_ms_min=50,
        interval_ms_default=250,
    ),
    "signals": _EVENTS,
    "decisions": _EVENTS,
    "verdicts": _EVENTS,
    "executions": _EVENTS,
    "ledger": _EVENTS,
    "mesh": ChannelSpec(
        _method(registry_pb2.DESCRIPTOR, "Registry", "Watch"),
        deliveries=(CONFLATED,),
        interval_ms_default=1_000,
    ),
    "logs": ChannelSpec(
        # Logs name callers, addresses and requests: operators run processes, viewers read data.
        _method(admin_pb2.DESCRIPTOR, "Admin", "StreamLogs"),
        optional=("service", "level", "logger"),
        deliveries=(LOSSLESS, CONFLATED),
        interval_ms_default=1_000,
        keeps_history=True,
    ),
}


@dataclass(frozen=True, slots=True)
class TopicKey:
    """What a topic is about. Two subscriptions with the same key share one topic."""

    channel: str
    venue: str = ""
    symbol: str = ""
    interval: str = ""
    service: str = ""
    level: str = ""
    logger: str = ""
    delivery: str = CONFLATED
    interval_ms: int = 0
    depth: int = 0

    @property
    def is_lossless(self) -> bool:
        return self.delivery == LOSSLESS

    @property
    def spec(self) -> ChannelSpec:
        return CHANNELS[self.channel]

    @property
    def name(self) -> str:
        """Names the topic in every message about it."""
        numbers = (str(number) if number else "" for number in (self.interval_ms, self.depth))
        level = f"level={self.level}" if self.level else ""
        logger = f"logger={self.logger}" if self.logger else ""
        subject = (
            self.channel,
            self.venue,
            self.symbol,
            self.interval,
            self.service,
            level,
            logger,
        )
        return "|".join(part for part in (*subject, self.delivery, *numbers) if part)


def topic_key(wanted: Subscription) -> TopicKey:
    """The topic of a subscription. Raises BadRequest and NotSupported."""
    spec = CHANNELS.get(wanted.channel)
    if spec is None:
        hint = did_you_mean(wanted.channel, CHANNELS)
        raise _wrong("channel", wanted.channel, f"one of {', '.join(CHANNELS)}", hint)
    for field in FIELDS:
        value = getattr(wanted, field)
        if value and field not in (*spec.needed, *spec.optional):
            raise _wrong(field, value, f"nothing in the channel {wanted.channel}")
        if not value and field in spec.needed:
            raise _wrong(field, value, f"a text in the channel {wanted.channel}")
    if wanted.level not in ("", *LOG_LEVELS):
        raise _wrong("level", wanted.level, _either(LOG_LEVELS))
    delivery = wanted.delivery or spec.deliveries[0]
    if delivery not in spec.deliveries:
        text = f"the channel {wanted.channel} is {_either(spec.deliveries)} only"
        raise NotSupported(text, service="push", wanted=f"{wanted.channel} {delivery}")
    _check_options(wanted, spec, delivery)
    conflated = delivery == CONFLATED
    return TopicKey(
        channel=wanted.channel,
        venue=wanted.venue,
        symbol=wanted.symbol,
        interval=wanted.interval,
        service=wanted.service,
        level=wanted.level,
        logger=wanted.logger,
        delivery=delivery,
        interval_ms=(wanted.interval_ms or spec.interval_ms_default) if conflated else 0,
        depth=(wanted.depth or DEPTH_DEFAULT) if conflated and spec.has_depth else 0,
    )


def position_of(wanted: Subscription) -> Position | None:
    """After which a subscription continues. Raises BadRequest."""
    if not wanted.cursor:
        return None
    try:
        return parse_position(wanted.cursor, CHANNELS[wanted.channel].cursor_numbers)
    except ValueError:
        allowed = "the cursor of a message of this topic"
        raise _wrong("cursor", wanted.cursor, allowed) from None


def require_access(caller: Caller, key: TopicKey) -> None:
    """Raise RoleMissing for a caller who may not read a channel."""
    require_role(caller, key.spec.method)


def _check_options(wanted: Subscription, spec: ChannelSpec, delivery: str) -> None:
    if delivery == LOSSLESS:
        for field in ("interval_ms", "depth"):
            if getattr(wanted, field):
                raise _wrong(field, getattr(wanted, field), "nothing with the delivery lossless")
        return
    if wanted.cursor:
        raise _wrong("cursor", wanted.cursor, "nothing with the delivery conflated")
    if wanted.depth and not spec.has_depth:
        raise _wrong("depth", wanted.depth, f"nothing in the channel {wanted.channel}")
    least = spec.interval_ms_min
    if 0 < wanted.interval_ms < least:
        raise _wrong("interval_ms", wanted.interval_ms, f"{least} to {INTERVAL_MS_MAX}")


def _either(deliveries: Iterable[str]) -> str:
    return " or ".join(deliveries)


def _wrong(field: str, value: object, allowed: str, hint: str = "") -> BadRequest:
    text = f"{field} {value!r}: allowed is {allowed}{hint}"
    return BadRequest(text, field=field, value=value, allowed=allowed)
