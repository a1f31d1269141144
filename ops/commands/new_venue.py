"""``./venuemesh new-venue``: a folder for one more venue, which passes the cards already."""

import importlib.util
import itertools
import keyword
import re
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ops import ports, templates
from ops.arguments import OneLineParser
from ops.errors import OperationsError
from ops.project import ROOT, tool
from ops.venues import known_ports

TEMPLATES = Path(templates.__file__).parent
TEMPLATE_PACKAGE = "ops.templates.examplex"
TEMPLATE_NAME = "examplex"
TEMPLATE_PORTS = ("65_000", "65000")
NAME = re.compile(r"[a-z][a-z0-9_]{1,23}")
PORT_FIRST = 5060

COMPOSE_SERVICE = """\
  {name}:
    <<: *process
    command: [venue, {name}]
    environment:
      <<: *environment
      VENUEMESH_ADVERTISE_HOST: {name}
      VENUEMESH_HEALTH_ADDRESS: {name}:{port}
    depends_on: {{registry: {{condition: service_healthy}}}}"""

LEFT_TO_DO = """\
{folder} is a venue on port {port}. It speaks a made-up protocol, and passes every card:

  {conform}

What is left to do (docs/ADD_A_VENUE.md tells it step by step):

1. Put the exchange's own words in place of the made-up ones: parse.py, feed.py, book.py,
   instruments.py, history.py, catalog.py, simulator/. Each file begins with what to change.
2. Write down in README.md how you know.
3. Give it a container: this block in docker-compose.yml, beside the other venues{image}.

{service}"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written."""

    name: str
    package: str
    """As it is imported."""
    folder: Path
    """Of the package. It must not be there yet."""
    port: int


def run(arguments: Sequence[str]) -> int:
    """Returns 0. Raises OperationsError for a name that cannot be had."""
    parser = OneLineParser("new-venue", "Make a folder for one more venue.")
    parser.add_argument("name", metavar="NAME", help="the venue's id, for example bitstamp")
    parser.add_argument(
        "--outside", metavar="FOLDER", type=Path, help="a package of its own, in a new folder"
    )
    chosen = parser.parse_args(arguments)
    plan = _plan(chosen.name, chosen.outside)
    _copy(plan)
    if chosen.outside is not None:
        _copy_file(TEMPLATES / "outside" / "pyproject.toml", chosen.outside, plan)
    _tidy(plan.folder)
    print(_left_to_do(plan, chosen.outside))
    return 0


def free_port(taken: Collection[int]) -> int:
    """The first for a venue that nobody has."""
    return next(port for port in itertools.count(PORT_FIRST) if port not in taken)


def _plan(name: str, outside: Path | None) -> Plan:
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
    return Plan(name, f"venues.{name}" if outside is None else name, folder, port)


def _copy(plan: Plan) -> None:
    source = TEMPLATES / TEMPLATE_NAME
    for file in sorted(source.rglob("*")):
        if file.suffix in (".py", ".md"):
            _copy_file(file, plan.folder / file.parent.relative_to(source), plan)


def _copy_file(file: Path, folder: Path, plan: Plan) -> None:
    text = file.read_text().replace(TEMPLATE_PACKAGE, plan.package)
    text = text.replace(TEMPLATE_NAME, plan.name)
    text = text.replace(TEMPLATE_NAME.title(), plan.name.title().replace("_", ""))
    for port in TEMPLATE_PORTS:
        text = text.replace(port, str(plan.port))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file.name).write_text(text)


def _left_to_do(plan: Plan, outside: Path | None) -> str:
    conform = f"./venuemesh conform {plan.name}"
    return LEFT_TO_DO.format(
        folder=plan.folder.relative_to(ROOT) if outside is None else plan.folder,
        port=plan.port,
        conform=conform if outside is None else f"pip install --editable {outside} && {conform}",
        image="" if outside is None else ", and the package in its image",
        service=COMPOSE_SERVICE.format(name=plan.name, port=plan.port),
    )


def _tidy(folder: Path) -> None:
    """A longer or shorter name breaks lines elsewhere. Without ruff that stays as it is."""
    ruff = tool("ruff")
    if Path(ruff).exists():
        settings = ("--config", str(ROOT / "pyproject.toml"), "--quiet", str(folder))
        subprocess.run([ruff, "check", "--select", "I", "--fix", *settings], check=True)
        subprocess.run([ruff, "format", *settings], check=True)
