"""The compose file, as Docker Compose reads it without variables in the environment."""

import re
from typing import Any

from ruamel.yaml import YAML

from ops.project import ROOT

FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")

Json = dict[str, Any]


def load() -> Json:
    """The file with the defaults of its variables, and without the fragments."""
    found = YAML(typ="safe").load(VARIABLE.sub(r"\1", FILE.read_text()))
    return {key: value for key, value in found.items() if not key.startswith("x-")}


def services() -> dict[str, Json]:
    return load()["services"]


def words(value: str | list[str]) -> list[str]:
    """A command as it is executed: two dollars stand for one."""
    parts = value.split() if isinstance(value, str) else value
    return [part.replace("$$", "$") for part in parts]


def image(service: Json) -> str | None:
    """The target of the Dockerfile, None for the image of somebody else."""
    return service["build"]["target"] if "build" in service else None
