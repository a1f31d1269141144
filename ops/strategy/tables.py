"""Strategies and what they say as tables for a terminal."""

from collections.abc import Iterable, Iterator

from rich.table import Table
from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import signals_pb2

from ops.tables import table, time_text, word

PREFIX = "STRATEGY_STATE_"
VERSION_CHARACTERS = 12


def strategies(found: Iterable[detector_pb2.StrategyStatus]) -> Table:
    rows = (
        (
            one.strategy or one.file,
            f"{one.venue}/{one.symbol}" if one.venue else "",
            one.interval,
            one.account,
            word(detector_pb2.StrategyState.Name(one.state), PREFIX),
            time_text(one.bar_close_time_ns) if one.bar_close_time_ns else "",
            str(one.signals),
            one.version[:VERSION_CHARACTERS],
            one.detail,
        )
        for one in found
    )
    names = ("strategy", "instrument", "bars", "account", "state", "newest bar", "signals")
    return table((*names, "version", "detail"), rows)


def rules(found: detector_pb2.ExplainResponse) -> Table:
    """Each rule and exit, with the values that it rests on."""
    rows = [*_rows("rule", found.rules), *_rows("exit", found.exits)]
    return table(("", "name", "score", "weight", "values"), rows)


def _rows(
    kind: str, found: Iterable[signals_pb2.RuleScore]
) -> Iterator[tuple[str, str, str, str, str]]:
    for one in found:
        score = f"{one.score:g}" if one.HasField("score") else "abstains"
        values = "\n".join(map(_value_text, one.values))
        yield kind, one.rule, "forbids" if one.is_veto else score, f"{one.weight:g}", values


def _value_text(one: signals_pb2.FeatureValue) -> str:
    return f"{one.expression} = {f'{one.value:g}' if one.HasField('value') else 'not known'}"
