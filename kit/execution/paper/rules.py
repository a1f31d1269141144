"""How an account on paper trades: what it begins with, fees, leverage, latency."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from kit.base.errors import SettingError
from kit.execution.settings import OrdersSettings

AMOUNT_PLACES = 18


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """What a venue is like for those who trade there. Fees are shares of the value."""

    maker: Decimal = Decimal("0.001")
    """Of its usual tier; negative: it is received."""
    taker: Decimal = Decimal("0.001")
    fees_in_quote: bool = False
    """Of spot trades. False: in what is received."""
    sizes_are_contracts: bool = True
    """Whether sizes of derivatives count contracts. False: base units, or quote units of an inverse
    one."""


@dataclass(frozen=True, slots=True)
class PaperRules:
    """Of the accounts at one venue."""

    house: FeeSchedule = field(default_factory=FeeSchedule)
    balances: Mapping[str, Decimal] = field(default_factory=dict)
    """What a new account has, by asset."""
    leverage: int = 10
    """Of derivatives: the margin of a position is its value by this."""
    latency_ms: int = 20
    jitter_ms: int = 10
    pace: float = 1.0
    """So many times as fast as the clock the market goes, and so do messages to it. Infinite: they
    take no time at all."""
    seed: int = 0


def rules_of(venue_id: str, house: FeeSchedule, settings: OrdersSettings) -> PaperRules:
    """As the settings say. Raises SettingError."""
    for text in settings.paper_fees:
        venue, *shares = text.split(":")
        if len(shares) != 2:
            allowed = 'must be "venue:MAKER:TAKER"'
            raise SettingError("orders.paper_fees", text, allowed)
        maker, taker = (_number("orders.paper_fees", text, share) for share in shares)
        if max(abs(maker), abs(taker)) >= 1:
            raise SettingError("orders.paper_fees", text, "shares of the value, below 1")
        if venue == venue_id:
            house = FeeSchedule(maker, taker, house.fees_in_quote, house.sizes_are_contracts)
    return PaperRules(
        house,
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
