"""``./venuemesh new-venue``: make a folder for one more venue, which passes the cards already."""

import argparse
import importlib.util
import itertools
import keyword
import re
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops import ports, templates
from ops.errors import OperationsError
from ops.output import print_json
from ops.project import ROOT, tool
from ops.templates.variants import (
    BOOK_SOURCES,
    END,
    RULES,
    TRADE_IDS,
    NewVenueOptions,
    TemplateEdit,
    edits,
)
from ops.venues import known_ports

TEMPLATES = Path(templates.__file__).parent
TEMPLATE_PACKAGE = "ops.templates.examplex"
TEMPLATE_NAME = "examplex"
TEMPLATE_PORTS = ("65_000", "65000")
NAME = re.compile(r"[a-z][a-z0-9_]{1,23}")
PORT_FIRST = 5060

COMPOSE_SERVICE = """\
  {host}:
    <<: *venue
    command: [venue, {name}]
    environment:
      <<: *environment
      VENUEMESH_ADVERTISE_HOST: {host}
      VENUEMESH_HEALTH_ADDRESS: {host}:{port}
    volumes:
      - {host}:/data
      - keys:/data/keys:ro
      - {{type: volume, source: tokens, target: /run/venuemesh, read_only: true,
         volume: {{subpath: {name}}}}}"""
README_ROW = "| [`{name}`](venues/{name}/README.md) | spot | BTC-USD | {proof} | {port} |"

LEFT_TO_DO = """\
{folder} is a venue on port {port}. It speaks a made-up protocol, and passes every card:

  {conform}

What is left to do (docs/ADD_A_VENUE.md explains each step):

1. Put the exchange's own protocol in place of the made-up one: parse.py, feed.py, book.py,
   instruments.py, history.py, catalog.py, simulator/. Each file begins with what to change.
2. Write down in README.md how you know.
3. Give it a container: this block in docker-compose.yml, beside the other venues, and a line
   "  {host}:" under the volumes at the end{image}.

{service}"""
LAST_STEP = """

4. Add this row to the table of venues in README.md:

{row}"""


@dataclass(frozen=True, slots=True)
class NewVenuePlan:
    """What to write, and where."""

    name: str
    package: str
    """As it is imported."""
    folder: Path
    """Of the package. It must not be there yet."""
    port: int
    edits: Sequence[TemplateEdit]
    """What differs from the template."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the venue's id, for example bitstamp")
    parser.add_argument(
        "--outside", metavar="FOLDER", type=Path, help="a package of its own, in a new folder"
    )
    _add_choices(parser)


def run(chosen: argparse.Namespace) -> int:
    """Returns 0. Raises OperationsError for a name that cannot be had."""
    choices = NewVenueOptions(chosen.book, chosen.rule, chosen.trade_ids, chosen.quotes)
    plan = _plan(chosen.name, chosen.outside, list(edits(choices)))
    _copy(plan)
    if chosen.outside is not None:
        _copy_file(TEMPLATES / "outside" / "pyproject.toml", chosen.outside, plan)
    _tidy(plan.folder)
    if chosen.json:
        print_json({"venue": plan.name, "folder": str(plan.folder), "port": plan.port})
    else:
        print(_left_to_do(plan, chosen.outside, choices.book_proof))
    return 0


def _add_choices(parser: argparse.ArgumentParser) -> None:
    usual = NewVenueOptions()
    parser.add_argument(
        "--book", choices=BOOK_SOURCES, default=usual.book, help="where snapshots come from"
    )
    parser.add_argument(
        "--rule", choices=RULES, default=usual.rule, help="what orders the updates of a book"
    )
    parser.add_argument(
        "--trade-ids",
        choices=TRADE_IDS,
        default=usual.trade_ids,
        help="numeric: ids count by one; text; none: ids show no missing trade",
    )
    parser.add_argument(
        "--quotes",
        action=argparse.BooleanOptionalAction,
        default=usual.has_quotes,
        help="whether the feed has best bids and asks",
    )


def free_port(taken: Collection[int]) -> int:
    """The lowest port for venues that is free."""
    return next(port for port in itertools.count(PORT_FIRST) if port not in taken)


def _plan(name: str, outside: Path | None, changes: Sequence[TemplateEdit]) -> NewVenuePlan:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        allowed = "2 to 24 small letters, digits and underscores, a letter first"
        raise OperationsError(f"{name[:60]!r} is no name for a venue: {allowed}")
    venues = known_ports()
    folder = ROOT / "venues" / name if outside is None else outside / name
    # A venue is found beside the services, by its name.
    is_taken = name in venues or name in ports.DEFAULTS or folder.exists()
    if is_taken or (outside is not None and importlib.util.find_spec(name) is not None):
        raise OperationsError(f"{name!r} is taken: choose another name")
    if outside is not None and outside.exists():
        raise OperationsError(f"{outside} is there already: choose a new folder")
    port = free_port({*venues.values(), *ports.DEFAULTS.values()})
    return NewVenuePlan(name, f"venues.{name}" if outside is None else name, folder, port, changes)


def _copy(plan: NewVenuePlan) -> None:
    source = TEMPLATES / TEMPLATE_NAME
    for file in sorted(source.rglob("*")):
        if file.suffix in (".py", ".md"):
            _copy_file(file, plan.folder / file.parent.relative_to(source), plan)


def _copy_file(file: Path, folder: Path, plan: NewVenuePlan) -> None:
    text = file.read_text()
    for edit in plan.edits:
        if TEMPLATES / TEMPLATE_NAME / edit.file == file:
            text = _edited(text, edit)
    text = text.replace(TEMPLATE_PACKAGE, plan.package)
    text = text.replace(TEMPLATE_NAME, plan.name)
    text = text.replace(TEMPLATE_NAME.title(), plan.name.title().replace("_", ""))
    for port in TEMPLATE_PORTS:
        text = text.replace(port, str(plan.port))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_text(text)


def _edited(text: str, edit: TemplateEdit) -> str:
    """Raises ValueError when the template does not have the text."""
    begin = text.index(edit.text)
    end = begin + len(edit.text)
    if edit.until:
        end = len(text) if edit.until == END else text.index(edit.until, end)
    return text[:begin] + edit.replacement + text[end:]


def _left_to_do(plan: NewVenuePlan, outside: Path | None, proof: str) -> str:
    conform = f"./venuemesh conform {plan.name}"
    row = README_ROW.format(name=plan.name, port=plan.port, proof=proof)
    steps = LEFT_TO_DO + (LAST_STEP.format(row=row) if outside is None else "")
    return steps.format(
        folder=plan.folder.relative_to(ROOT) if outside is None else plan.folder,
        port=plan.port,
        conform=conform if outside is None else f"pip install --editable {outside} && {conform}",
        image="" if outside is None else ", and the package in its image",
        host=plan.name.replace("_", "-"),
        service=COMPOSE_SERVICE.format(
            name=plan.name, host=plan.name.replace("_", "-"), port=plan.port
        ),
    )


def _tidy(folder: Path) -> None:
    """Remove unused imports and wrap lines. Without ruff they stay as they are."""
    ruff = tool("ruff")
    if Path(ruff).exists():
        settings = ("--config", str(ROOT / "pyproject.toml"), "--quiet", str(folder))
        subprocess.run([ruff, "check", "--select", "I,F401", "--fix", *settings], check=True)
        subprocess.run([ruff, "format", *settings], check=True)
