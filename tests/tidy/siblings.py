"""Siblings alike: whoever knows one service or one venue knows where to look in the others."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

from tests.tidy.project import File, Finding

SERVICE_ROLES = ("__init__.py", "app.py", "settings.py", "tests")
"""What every folder core/<service> has. Its other files are named for what they do."""

VENUE_ROLES = (
    "__init__.py",
    "README.md",
    "book.py",
    "catalog.py",
    "feed.py",
    "history.py",
    "instruments.py",
    "parse.py",
    "simulator",
    "tests",
)
"""What every folder venues/<exchange> has."""
ORDER_ROLES = (
    "account.py",
    "cash_flows.py",
    "configuration.py",
    "errors.py",
    "orders.py",
    "user_stream.py",
)
"""What it has besides where the venue takes orders: all of them."""
SOCKET_ROLE = "order_socket.py"
"""What it may have then, where orders go over a websocket; and nothing else."""

SIMULATOR_ROLES = (
    "__init__.py",
    "candles.py",
    "capture.py",
    "encode.py",
    "errors.py",
    "instruments.py",
    "rest.py",
    "streams.py",
    "tests",
    "websocket.py",
)
"""What every folder venues/<exchange>/simulator has; see kit/simulator/README.md."""
SIMULATOR_ORDER_ROLES = (
    "authentication.py",
    "cash_flows.py",
    "orders.py",
    "private_rest.py",
    "private_stream.py",
    "rows.py",
)
"""What it has besides where the simulated exchange takes orders: all of them."""
SIMULATOR_FAULTS = "faults.py"
"""What it may have for the faults of this exchange alone."""


def service_folders(files: Iterable[File]) -> Iterator[Finding]:
    """Every service has the files of SERVICE_ROLES, and service.py when it serves gRPC."""
    sources = list(files)
    for folder, names in _folders(sources, "core").items():
        for missing in sorted(set(SERVICE_ROLES) - names):
            yield Finding("service_folders", folder, 1, f"{missing} is missing")
    for file in sources:
        if file.matches(["core/*.py"]) and not file.is_test:
            yield from _servicers_elsewhere(file)


def venue_folders(files: Iterable[File]) -> Iterator[Finding]:
    """Every venue has the files of VENUE_ROLES, perhaps those of ORDER_ROLES, with them perhaps
    SOCKET_ROLE, and no others."""
    for folder, names in _folders(files, "venues").items():
        roles = {*VENUE_ROLES, *(ORDER_ROLES if names & {*ORDER_ROLES} else ())}
        for missing in sorted(roles - names):
            yield Finding("venue_folders", folder, 1, f"{missing} is missing")
        known = roles | {SOCKET_ROLE} if roles > {*VENUE_ROLES} else roles
        for unknown in sorted(names - known):
            yield Finding("venue_folders", folder, 1, f"{unknown} is in no other venue folder")


def simulator_folders(files: Iterable[File]) -> Iterator[Finding]:
    """Every simulator of a venue has the files of SIMULATOR_ROLES, perhaps those of
    SIMULATOR_ORDER_ROLES, perhaps SIMULATOR_FAULTS, and no others."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        match file.path.split("/"):
            case ["venues", venue, "simulator", name, *_]:
                found[f"venues/{venue}/simulator"].add(name)
    for folder, names in found.items():
        trades = names & {*SIMULATOR_ORDER_ROLES}
        roles = {*SIMULATOR_ROLES, *(SIMULATOR_ORDER_ROLES if trades else ())}
        for missing in sorted(roles - names):
            yield Finding("simulator_folders", folder, 1, f"{missing} is missing")
        for unknown in sorted(names - roles - {SIMULATOR_FAULTS}):
            yield Finding("simulator_folders", folder, 1, f"{unknown} is in no other simulator")


def tests_beside_code(files: Iterable[File]) -> Iterator[Finding]:
    """A tests folder is a package and holds tests."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if folder.split("/")[-1] == "tests" and not folder.startswith("studio/"):
            found[folder].add(name)
    for folder, names in found.items():
        if folder == "tests":
            continue
        if "__init__.py" not in names:
            yield Finding("tests_beside_code", folder, 1, "__init__.py is missing")
        if not any(name.startswith("test_") for name in names):
            yield Finding("tests_beside_code", folder, 1, "no test_*.py in it")


def _folders(files: Iterable[File], parent: str) -> dict[str, set[str]]:
    """What stands directly in each folder of the parent."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        parts = file.path.split("/")
        if parts[0] == parent and len(parts) > 2:
            found[f"{parent}/{parts[1]}"].add(parts[2])
    return dict(found)


def _servicers_elsewhere(file: File) -> Iterator[Finding]:
    if file.path.endswith("/service.py"):
        return
    for node in file.nodes:
        if not isinstance(node, ast.ClassDef):
            continue
        if any(ast.unparse(base).endswith("Servicer") for base in node.bases):
            text = f"{node.name} answers gRPC: its place is service.py"
            yield Finding("service_folders", file.path, node.lineno, text)
