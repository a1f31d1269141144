"""Allocates a fill of Flatten to the strategies whose positions it closes.

Flatten closes what the account holds in an instrument: the sum of what strategies and persons hold.
Each holder has its part of every fill, in proportion to its own size, so that all are flat when the
account is; one that holds the other side is bought from. What is rounded, and what no strategy
holds, belongs to no strategy.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter

from core.ledger.position_history import ChangeKey, PositionChange


def allocate(change: PositionChange, held: Mapping[str, int]) -> list[PositionChange]:
    """The parts of a fill in their order, the first with its key: one for each strategy, and what
    belongs to none. ``held``: what
    strategies hold, and under "" what the others do."""
    shares = _shares(change.size, held)
    rest = change.size - sum(shares.values())
    sizes = {**({"": rest} if rest or not shares else {}), **dict(sorted(shares.items()))}
    base_fees = split(change.base_fee, list(sizes.values()))
    parts = [
        change._replace(
            key=_key(change.key, strategy if place else ""),
            strategy=strategy,
            size=size,
            base_fee=base_fees[place],
        )
        for place, (strategy, size) in enumerate(sizes.items())
    ]
    return sorted(parts, key=attrgetter("key"))


def split(amount: int, sizes: Sequence[int]) -> list[int]:
    """An amount in proportion to sizes, whatever their sides are. What is rounded is in the first
    part."""
    weights = [abs(size) for size in sizes]
    sign, whole = (-1 if amount < 0 else 1), sum(weights) or 1
    parts = [sign * (abs(amount) * weight // whole) for weight in weights]
    parts[0] += amount - sum(parts)
    return parts


def _shares(size: int, held: Mapping[str, int]) -> dict[str, int]:
    """The part of each strategy, of a fill that is negative for a sale."""
    net = sum(held.values())
    if net * size >= 0:
        # What persons hold is not known whole: a deposit is no fill.
        held = {strategy: own for strategy, own in held.items() if strategy}
        net = sum(held.values())
    if net * size >= 0:
        return {}
    part, whole = min(abs(size), abs(net)), abs(net)
    shares = {
        strategy: (-1 if own > 0 else 1) * (abs(own) * part // whole)
        for strategy, own in held.items()
        if strategy
    }
    return {strategy: share for strategy, share in shares.items() if share}


def _key(key: ChangeKey, strategy: str) -> ChangeKey:
    """The place of a part: after the fill itself."""
    if not strategy:
        return key
    change_id = f"{key.change_id}/{strategy}"
    return ChangeKey(key.time_ns, key.kind, len(change_id), change_id)
