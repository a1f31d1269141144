"""A bounded store for what an exchange remembers of its clients."""

from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class BoundedCache(Generic[KeyT, ValueT]):
    """Values by key, up to a number. When there is one more, the oldest is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[KeyT, ValueT] = {}

    def __contains__(self, key: KeyT) -> bool:
        return key in self._kept

    def keep(self, key: KeyT, value: ValueT) -> None:
        """Store a value, in place of the one that the key had."""
        self._kept.pop(key, None)
        self._kept[key] = value
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def get(self, key: KeyT) -> ValueT | None:
        """The value; None: there is none, or it is forgotten."""
        return self._kept.get(key)

    def take(self, key: KeyT) -> ValueT | None:
        """Remove the value, and return it."""
        return self._kept.pop(key, None)
