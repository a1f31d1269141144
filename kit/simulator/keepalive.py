"""Pings and ticks of a connection, and the rules by which the exchange closes it."""

from aiohttp import WSCloseCode

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.connection import ClientConnection
from kit.simulator.dialect import ConnectionRules, Dialect, MarketView

TICK_S = 1.0


async def keep_alive(
    connection: ClientConnection, dialect: Dialect, market_view: MarketView, clock: Clock
) -> None:
    """Send pings and ticks until the connection ends; close it when it breaks a rule."""
    rules = dialect.rules
    pinged_ns = ticked_ns = connection.opened_ns
    while connection.open:
        await clock.sleep(min(TICK_S, rules.ping_interval_s))
        now_ns = clock.monotonic_ns()
        if connection.stalled:
            if _passed_s(connection.last_pong_ns, now_ns) > rules.pong_timeout_s:
                connection.reset()
            continue
        complaint = _broken_rule(connection, rules, now_ns)
        if complaint:
            await connection.close(WSCloseCode.GOING_AWAY, complaint)
            return
        if _passed_s(pinged_ns, now_ns) >= rules.ping_interval_s:
            pinged_ns = now_ns
            await connection.ping(str(now_ns).encode())
        if _passed_s(ticked_ns, now_ns) >= TICK_S:
            ticked_ns = now_ns
            for text in dialect.tick(connection.session, market_view):
                connection.reply(text)
            if connection.session.closing:
                await connection.close(WSCloseCode.GOING_AWAY, connection.session.closing)
                return


def _broken_rule(connection: ClientConnection, rules: ConnectionRules, now_ns: int) -> str:
    age_s = _passed_s(connection.opened_ns, now_ns)
    if age_s > rules.lifetime_s:
        return "lifetime is over"
    if _passed_s(connection.last_pong_ns, now_ns) > rules.pong_timeout_s:
        return "no pong"
    if rules.idle_s is not None and _passed_s(connection.last_message_ns, now_ns) > rules.idle_s:
        return "idle"
    within_s = rules.subscribe_within_s
    if within_s is not None and not connection.subscribed and age_s > within_s:
        return "no subscription"
    return ""


def _passed_s(since_ns: int, now_ns: int) -> float:
    return (now_ns - since_ns) / NANOSECONDS_PER_SECOND
