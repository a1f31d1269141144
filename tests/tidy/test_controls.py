"""docs/CONTROLS.md names tests that exist."""

import re

from tests.tidy.project import ROOT

FOLDERS = {
    "I": "core/inspector/tests",
    "R": "kit/risk/tests",
    "E": "kit/execution/tests",
    "M": "tests/integration",
}
NAMED = re.compile(r"`(test_[a-z_]+)(?::(test_[a-z_0-9]+))?`")


def named():
    """Folder, file and name of each test. One without a letter before it is in the last folder."""
    for line in (ROOT / "docs" / "CONTROLS.md").read_text().splitlines():
        folder = ""
        for part in re.split(r"(?=[ |])", line.rpartition(" | ")[2]):
            word = part.strip()
            folder = FOLDERS.get(word, folder)
            for file, name in NAMED.findall(word):
                yield folder, file, name


def test_each_test_that_a_control_names_exists():
    found = list(named())
    assert len(found) > 50
    missing = []
    for folder, file, name in found:
        path = ROOT / folder / f"{file}.py"
        if not path.exists() or (name and f"def {name}(" not in path.read_text()):
            missing.append(f"{folder}/{file}:{name}")
    assert missing == []
