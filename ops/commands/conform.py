"""``./venuemesh conform``: run the conformance cards against connectors."""

import argparse
import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
from rich.console import Console

from kit.base import settings
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.conformance.card import CARDS, CardResult, CardStatus, ConformanceCard
from kit.conformance.runner import VenueCardResults, ignore, play
from kit.connector.contract import discovery
from kit.connector.contract.venue import VenueFactory
from kit.connector.process import conformance_score
from kit.connector.process.conformance_score import ConformanceScoreFile
from kit.simulator.dialect import Dialect, find_dialects
from ops import gateway, reported_scores, venues
from ops.errors import UsageError

EXIT_FAILED = 1
Candidate: TypeAlias = tuple[VenueFactory, Callable[[], Dialect]]
"""What makes the connector, and its simulated exchange."""
STYLES = {CardStatus.PASSED: "green", CardStatus.FAILED: "bold red", CardStatus.SKIPPED: "dim"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    venues.complete(
        parser.add_argument("venues", nargs="*", metavar="VENUE", help="default: all there are")
    )
    parser.add_argument("--card", action="append", metavar="ID", help="only these cards")
    parser.add_argument(
        "--scores", action="store_true", help="play nothing: show the last scores of a mesh"
    )
    gateway.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Returns 0 when no card failed."""
    if chosen.scores:
        return reported_scores.show(chosen)
    if chosen.gateway or chosen.profile or chosen.data:
        raise UsageError("cards are played here, not on a mesh; --scores shows those of a mesh")
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    cards = _cards(chosen.card or [])
    candidates, broken = _candidates()
    good = True
    for venue_id in chosen.venues or sorted({*candidates, *broken}):
        if venue_id in broken:
            good = False
            _print_broken(venue_id, broken[venue_id], chosen.json)
            continue
        if venue_id not in candidates:
            raise venues.unknown_venue(venue_id, candidates, "venues with a simulator are")
        print_result = ignore if chosen.json else _print_result
        make, dialect = candidates[venue_id]
        found = asyncio.run(play(venue_id, make, dialect, cards, on_result=print_result))
        print(_json(found) if chosen.json else f"{venue_id}: {_counts(found)}", flush=True)
        if len(cards) == len(CARDS):
            conformance_score.write(Path(mesh.data_dir), venue_id, _score_file(found))
        good = good and not found.cards(CardStatus.FAILED)
    return 0 if good else EXIT_FAILED


def _candidates() -> tuple[dict[str, Candidate], dict[str, str]]:
    """The venues that have a simulator, and by folder why others cannot be imported."""
    found: dict[str, Candidate] = {}
    broken: dict[str, str] = {}
    for package in discovery.packages():
        try:
            factories, dialects = discovery.venues([package]), find_dialects([package])
        except Exception as error:  # A folder that is being written may raise anything.
            *_, place = traceback.extract_tb(error.__traceback__)
            why = f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
            broken[package.rpartition(".")[2]] = f"{package} cannot be imported: {why}"
            continue
        found |= {name: (factories[name], dialects[name]) for name in factories.keys() & dialects}
    return found, broken


def _print_broken(name: str, why: str, as_json: bool) -> None:
    row = msgspec.json.encode({"venue": name, "error": why, "cards": []}).decode()
    print(row if as_json else f"{name}: failed, {why}", flush=True)


def _cards(ids: Sequence[str]) -> list[ConformanceCard]:
    known = {card.card_id: card for card in CARDS}
    for card_id in ids:
        if card_id not in known:
            raise SettingError("card", card_id, f"known are {', '.join(sorted(known))}")
    return [known[card_id] for card_id in ids] or list(CARDS)


def _score_file(found: VenueCardResults) -> ConformanceScoreFile:
    return ConformanceScoreFile(
        passed=len(found.cards(CardStatus.PASSED)),
        failed_cards=found.cards(CardStatus.FAILED),
        skipped_cards=found.cards(CardStatus.SKIPPED),
        played_time_ns=time.time_ns(),
    )


def _print_result(result: CardResult) -> None:
    """Print a card as soon as it has ended."""
    card, outcome = result.card, result.outcome
    line = f"{card.card_id:<6} {outcome.value:<8} {result.seconds:5.1f} s  {card.title}"
    Console(highlight=False, soft_wrap=True).print(line, style=STYLES[outcome], markup=False)
    if result.detail:
        print(f"{'':<24} {result.detail}", flush=True)


def _counts(found: VenueCardResults) -> str:
    return ", ".join(f"{len(found.cards(outcome))} {outcome.value}" for outcome in CardStatus)


def _json(found: VenueCardResults) -> str:
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
    return msgspec.json.encode({"venue": found.venue_id, "cards": rows}).decode()
