"""The project keeps its style."""

from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.tidy import links, prose, retired_names, siblings, sizes, words
from tests.tidy.project import ROOT, File, Finding, read_project
from tests.tidy.waivers import Waiver, complaints, read_waivers

Rule = Callable[[File], Iterator[Finding]]
ProjectRule = Callable[[Iterable[File]], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    sizes.function_length,
    sizes.constructor_parameters,
    sizes.file_length,
    sizes.line_length,
    sizes.file_size,
    sizes.document_length,
    sizes.generated_code,
    words.banned_word,
    words.banned_name,
    words.swallowed_error,
    words.sleeping_test,
    words.timed_test,
    words.unnamed_peer,
    prose.assertions,
    prose.empty_docstring,
    retired_names.retired_name,
)
PROJECT_RULES: tuple[ProjectRule, ...] = (
    prose.docstrings,
    siblings.service_folders,
    siblings.venue_folders,
    siblings.simulator_folders,
    siblings.tests_beside_code,
    links.dead_links,
    links.repeated_numbers,
)
RULE_NAMES = {rule.__name__ for rule in (*RULES, *PROJECT_RULES)}


@pytest.fixture(scope="module")
def files() -> list[File]:
    return read_project()


@pytest.fixture(scope="module")
def waivers() -> list[Waiver]:
    return read_waivers()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule, files: list[File], waivers: list[Waiver]) -> None:
    found = [finding for file in files for finding in rule(file)]
    assert_kept(rule.__name__, found, waivers)


@pytest.mark.parametrize("rule", PROJECT_RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps(rule: ProjectRule, files: list[File], waivers: list[Waiver]) -> None:
    assert_kept(rule.__name__, list(rule(files)), waivers)


def test_waivers_name_rules_that_there_are(waivers: list[Waiver]) -> None:
    assert {waiver.rule for waiver in waivers} <= RULE_NAMES


def test_the_whole_project_is_read(files: list[File]) -> None:
    paths = {file.path for file in files}
    assert {"kit/base/clock.py", "pyproject.toml", "tests/tidy/project.py"} <= paths
    assert not [path for path in paths if path.startswith((".git/", ".venv/", "gen/"))]
    assert (ROOT / "kit" / "base" / "clock.py").read_bytes() in {file.content for file in files}


def assert_kept(rule: str, found: list[Finding], waivers: list[Waiver]) -> None:
    left = complaints(found, [waiver for waiver in waivers if waiver.rule == rule])
    if left:
        pytest.fail("\n".join(left), pytrace=False)
