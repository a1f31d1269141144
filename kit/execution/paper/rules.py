"""How a paper account trades: initial balances, fees, leverage, latency."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from kit.base.errors import SettingError
from kit.execution.settings import OrdersSettings

AMOUNT_PLACES = 18


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """What a venue charges. Fees are shares of the value."""

    maker: Decimal = Decimal("0.001")
    """Of the first tier; negative: a rebate."""
    taker: Decimal = Decimal("0.001")
    fees_in_quote: bool = False
    """Whether fees of spot trades are paid in the quote asset; otherwise in the received asset."""
    continuous_funding_period_ns: int = 0
    """The period that a funding rate belongs to, where funding is charged all the time. 0: it is
    charged at the times that the venue names."""


@dataclass(frozen=True, slots=True)
class PaperRules:
    """The rules of the paper accounts of one venue."""

    fee_schedule: FeeSchedule = field(default_factory=FeeSchedule)
    balances: Mapping[str, Decimal] = field(default_factory=dict)
    """Initial balances of a new account, by asset."""
    leverage: int = 10
    """The initial margin of a derivative position is its value divided by this."""
    latency_ms: int = 20
    jitter_ms: int = 10
    pace: float = 1.0
    """Speed of the market, and of messages to it, relative to the clock. Infinite: messages take no
    time."""
    seed: int = 0


def rules_of(venue_id: str, fee_schedule: FeeSchedule, settings: OrdersSettings) -> PaperRules:
    """Return the rules of a venue's paper accounts under the settings. Raises SettingError."""
    for text in settings.paper_fees:
        venue, *shares = text.split(":")
        if len(shares) != 2:
            allowed = 'must be "venue:MAKER:TAKER"'
            raise SettingError("orders.paper_fees", text, allowed)
        maker, taker = (_number("orders.paper_fees", text, share) for share in shares)
        if max(abs(maker), abs(taker)) >= 1:
            raise SettingError("orders.paper_fees", text, "shares of the value, below 1")
        if venue == venue_id:
            fee_schedule = replace(fee_schedule, maker=maker, taker=taker)
    return PaperRules(
        fee_schedule,
        dict(_balance(text) for text in settings.paper_balances),
        settings.paper_leverage,
        settings.paper_latency_ms,
        settings.paper_jitter_ms,
        seed=settings.paper_seed,
    )


def _balance(text: str) -> tuple[str, Decimal]:
    asset, _, number = text.partition(":")
    amount = _number("orders.paper_balances", text, number)
    if not asset or amount <= 0:
        raise SettingError("orders.paper_balances", text, 'must be "ASSET:AMOUNT", above zero')
    return asset, amount


def _number(key: str, text: str, number: str) -> Decimal:
    try:
        found = Decimal(number)
    except InvalidOperation:
        found = Decimal("NaN")
    exponent = found.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -AMOUNT_PLACES or abs(found.adjusted()) > 30:
        raise SettingError(key, text, f"no number of up to {AMOUNT_PLACES} decimal places")
    return found
