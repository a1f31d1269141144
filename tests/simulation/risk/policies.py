"""The policy of a run."""

from decimal import Decimal

from kit.risk.escalation import EscalatedMode, Escalation
from kit.risk.limits import THROTTLED_RATE
from kit.risk.policy import OPEN_POLICY, Policy

OPEN_FIELDS = ("accounts", "instruments", "order_notional_max", "entries_per_minute_max")


def drawn_policy(chance):
    """Limits that are reached in a run, and modes that follow from some."""
    limits = {
        "exposure_max": {"mesh": chance.choice((1_500, 3_000, 6_000)), "strategy:*": 1_900},
        "net_exposure_max": {"mesh": chance.choice((1_500, 4_000))},
        "open_order_notional_max": {"mesh": chance.choice((1_200, 4_000))},
        "positions_max": {"mesh": chance.choice((2, 3, 5))},
        "price_age_ms_max": {"mesh": 2_000},
        "entries_per_minute_max": {"strategy:*": chance.choice((2, 8))},
        THROTTLED_RATE: {"mesh": 3},
        "drawdown_max": {"mesh": chance.choice((20, 200)), "strategy:*": chance.choice((5, 50))},
        "loss_per_day_max": {"account:*": chance.choice((10, 100))},
        "repeated_entries_per_minute_max": {"mesh": chance.choice((1, 3))},
        "leverage_max": {"mesh": 3},
    }
    chosen = {
        name: {scope: Decimal(limit) for scope, limit in found.items()}
        for name, found in limits.items()
        if chance.random() < 0.7 or name in ("exposure_max", THROTTLED_RATE)
    }
    escalations = (
        Escalation(limit="drawdown_max", mode=chance.choice(STOPPING)),
        Escalation(
            limit="drawdown_max",
            mode=EscalatedMode.THROTTLED,
            share=Decimal("0.5"),
            release_seconds=3,
        ),
        Escalation(limit="loss_per_day_max", mode=EscalatedMode.STANDING_DOWN, release_seconds=5),
    )
    return Policy(
        **{name: getattr(OPEN_POLICY, name) for name in OPEN_FIELDS},
        limits=chosen,
        escalations=tuple(one for one in escalations if one.limit in chosen),
        currency="USDT",
        rates={"BTC": Decimal(60_000)},
    )


STOPPING = (EscalatedMode.STANDING_DOWN, EscalatedMode.CLOSING_ALL, EscalatedMode.HALTED)
