"""The kinds of bars that end with a trade, and their notation, for example ``tick:100``."""

import re
from dataclasses import dataclass
from enum import StrEnum

from kit.base.numbers import format_scaled, parse_number

PLACES_MAX = 18

_TEXT = re.compile(r"([a-z]+):([0-9]+(?:\.[0-9]+)?)")


class BarKind(StrEnum):
    """What ends a bar. The docstrings say what its size counts."""

    TICK = "tick"
    """Trades."""
    VOLUME = "volume"
    """Base units, or contracts."""
    VALUE = "value"
    """Quote units."""
    IMBALANCE = "imbalance"
    """Trades expected in a bar."""
    RUNS = "runs"
    """Trades expected in a bar."""
    RANGE = "range"
    """Price from lowest to highest."""
    RENKO = "renko"
    """Price from brick to brick."""


WHOLE = frozenset((BarKind.TICK, BarKind.IMBALANCE, BarKind.RUNS))
"""Kinds whose size is a whole number."""
ALLOWED = "kind:size with a kind of " + ", ".join(BarKind) + ", for example tick:100"


@dataclass(frozen=True, slots=True)
class BarSpec:
    """A kind and its size, which is unscaled / 10^places."""

    kind: BarKind
    unscaled: int
    places: int

    @classmethod
    def parse(cls, text: str) -> "BarSpec":
        """Parse the canonical text, which has no superfluous zeros. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None or found[1] not in BarKind.__members__.values():
            raise ValueError(f"{text!r} is no kind of bar; allowed: {ALLOWED}")
        kind = BarKind(found[1])
        unscaled, places = parse_number(found[2])
        spec = cls(kind, unscaled, places)
        if unscaled <= 0 or spec.text != text or (kind in WHOLE and places):
            number = "whole number" if kind in WHOLE else "number"
            raise ValueError(
                f"the size of {text!r} must be a {number} above 0 without superfluous zeros"
            )
        return spec

    @property
    def text(self) -> str:
        """The notation used in Bar.interval."""
        return f"{self.kind}:{format_scaled(self.unscaled, self.places)}"

    def at_scale(self, scale: int) -> int:
        """The size in units of 10^-scale; where that is not whole, the next whole number: a sum of
        whole numbers reaches one exactly when it reaches the other."""
        if scale >= self.places:
            return int(self.unscaled * 10 ** (scale - self.places))
        return int(-(-self.unscaled // 10 ** (self.places - scale)))
