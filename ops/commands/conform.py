"""``./venuemesh conform``: play the conformance cards against connectors."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from kit.base import settings
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.conformance.card import CARDS, Card, Outcome
from kit.conformance.runner import Score, play
from kit.connector.contract import discovery
from kit.connector.process import score
from kit.connector.process.score import ScoreFile
from kit.simulator.dialect import find_dialects
from ops.arguments import OneLineParser

EXIT_FAILED = 1
STYLES = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.SKIPPED: "dim"}


def run(arguments: Sequence[str]) -> int:
    """Returns 0 when no card failed."""
    parser = OneLineParser("conform", "Play the conformance cards against connectors.")
    parser.add_argument("venues", nargs="*", metavar="VENUE", help="ids; default: all there are")
    parser.add_argument("--card", action="append", metavar="ID", help="only these cards")
    parser.add_argument("--json", action="store_true", help="one JSON object for each venue")
    chosen = parser.parse_args(arguments)
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    cards = _cards(chosen.card or [])
    dialects = find_dialects()
    good = True
    for venue_id in chosen.venues or sorted(discovery.venues()):
        if venue_id not in dialects:
            known = f"it has no simulator to play against; others are {', '.join(sorted(dialects))}"
            raise SettingError("venue", venue_id, known)
        found = asyncio.run(play(venue_id, discovery.require(venue_id), dialects[venue_id], cards))
        _show(found, as_json=chosen.json)
        if len(cards) == len(CARDS):
            score.write(Path(mesh.data_dir), venue_id, _score_file(found))
        good = good and not found.cards(Outcome.FAILED)
    return 0 if good else EXIT_FAILED


def _cards(ids: Sequence[str]) -> list[Card]:
    known = {card.card_id: card for card in CARDS}
    for card_id in ids:
        if card_id not in known:
            raise SettingError("card", card_id, f"known are {', '.join(sorted(known))}")
    return [known[card_id] for card_id in ids] or list(CARDS)


def _score_file(found: Score) -> ScoreFile:
    return ScoreFile(
        passed=len(found.cards(Outcome.PASSED)),
        failed_cards=found.cards(Outcome.FAILED),
        skipped_cards=found.cards(Outcome.SKIPPED),
        played_time_ns=time.time_ns(),
    )


def _show(found: Score, *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "card": result.card.card_id,
                "title": result.card.title,
                "outcome": result.outcome.value,
                "detail": result.detail,
                "seconds": round(result.seconds, 2),
            }
            for result in found.results
        ]
        print(msgspec.json.encode({"venue": found.venue_id, "cards": rows}).decode())
        return
    counts = ", ".join(f"{len(found.cards(outcome))} {outcome.value}" for outcome in Outcome)
    table = Table(title=f"{found.venue_id}: {counts}", title_justify="left")
    for column in ("card", "outcome", "s", "what is right", "what was seen"):
        table.add_column(column, justify="right" if column == "s" else "left")
    for result in found.results:
        outcome, seconds = result.outcome, f"{result.seconds:.1f}"
        style = STYLES[outcome]
        row = result.card.card_id, outcome.value, seconds, result.card.title, result.detail
        table.add_row(*row, style=style)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
