"""Parameters of a strategy file: numbers and texts that differ between instances."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from kit.base.suggestions import did_you_mean

Number = TypeVar("Number", int, float)
_FALSE_AND_TRUE = {"false": False, "true": True}


class _Given:
    """The values that are given to the file that is being loaded."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.declared: set[str] = set()


_given: ContextVar[_Given] = ContextVar("given")


def parameter(
    name: str, default: Number, *, least: Number | None = None, most: Number | None = None
) -> Number:
    """A number: the default, or what the instance gives, as ``strategy run --set NAME=VALUE``.
    Raises ValueError."""
    text = _take(name)
    value = default if text is None else _number(name, text, default)
    if (least is not None and value < least) or (most is not None and value > most):
        allowed = " and ".join(
            f"{word} {bound}"
            for word, bound in (("at least", least), ("at most", most))
            if bound is not None
        )
        raise ValueError(f"parameter {name} is {value}; allowed: {allowed}")
    return value


def text_parameter(name: str, default: str) -> str:
    """A text, such as "binance/BTCUSDT"; as ``parameter``."""
    text = _take(name)
    return default if text is None else text


def flag_parameter(name: str, *, default: bool) -> bool:
    """True or false; as ``parameter``."""
    text = _take(name)
    if text is None:
        return default
    if text not in _FALSE_AND_TRUE:
        raise ValueError(f"parameter {name} is {text!r}; allowed: true, false")
    return _FALSE_AND_TRUE[text]


@contextmanager
def given(texts: Mapping[str, str]) -> Iterator[None]:
    """Give values to the parameters of a file that is loaded meanwhile. Raises ValueError for one
    that the file does not have."""
    values = _Given(texts)
    token = _given.set(values)
    try:
        yield
    finally:
        _given.reset(token)
    for name in texts:
        if name not in values.declared:
            known = ", ".join(sorted(values.declared)) or "none"
            suggestion = did_you_mean(name, values.declared)
            raise ValueError(f"there is no parameter {name!r}{suggestion}; known: {known}")


def _take(name: str) -> str | None:
    values = _given.get(None)
    if values is None:
        return None
    if name in values.declared:
        raise ValueError(f"parameter {name!r} is there twice")
    values.declared.add(name)
    return values.texts.get(name)


def _number(name: str, text: str, default: Number) -> Number:
    try:
        value = type(default)(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise ValueError(f"parameter {name} is {text!r}; allowed: {kind}") from None
    if value - value != 0:
        raise ValueError(f"parameter {name} is {text!r}; allowed: a finite number")
    return value
