"""docs/SETTINGS.md tells of every setting, and of no other; the example file has them all."""

import importlib
import re
from pathlib import Path

import msgspec

from ops.configuration import VENUE, example, sections

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "SETTINGS.md"
EXAMPLE = ROOT / "docs" / "venuemesh.example.toml"
SECTION = re.compile(r"^## `\[([a-z.<>]+)\]`\n+In \[`([a-z_/]+\.py)`\]", re.MULTILINE)
ROW = re.compile(r"^\| `([a-z_]+)` \|", re.MULTILINE)


def documented():
    """Of each section its keys, and the module that has its struct."""
    text = PAGE.read_text()
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return {
        found[1]: (found[2], ROW.findall(part)) for part in parts if (found := SECTION.match(part))
    }


def structs(file):
    """Of a module the fields of each struct of settings."""
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    return [
        list(kind.__struct_fields__)
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind.__name__.endswith("Settings")
        and kind.__module__ == module.__name__
    ]


def test_every_setting_is_documented_in_its_order():
    for section, (file, keys) in documented().items():
        assert keys in structs(file), f"[{section}] of {file}: {keys}"


def test_every_documented_section_is_checked_and_in_the_example():
    known = {"venues.<id>" if name == VENUE else name for name in sections()}
    assert known == {*documented()}


def test_the_example_is_current():
    command = "./venuemesh config example > docs/venuemesh.example.toml"
    assert EXAMPLE.read_text() == example(), f"write it again: {command}"


def test_every_struct_of_settings_has_a_section():
    mentioned = {file for file, _ in documented().values()}
    there = {
        str(file.relative_to(ROOT))
        for folder in ("kit", "core", "gateway")
        for file in (ROOT / folder).rglob("settings.py")
    }
    assert mentioned == there
    for file in there:
        sections = [keys for at, keys in documented().values() if at == file]
        assert sorted(sections) == sorted(structs(file))
