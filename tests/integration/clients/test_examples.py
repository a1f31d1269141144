"""The examples print what they should, with a real mesh."""

import re
import subprocess

import pytest

from tests.integration.clients import programs
from tests.integration.clients.printed import (
    ENDLESS,
    GAP_AFTER_RESTART,
    PRINTED,
    TRADE,
    check_printed,
)
from tests.integration.clients.programs import CLIENTS, ROOT, Example, Program, Shown
from tests.integration.mesh import VENUE, Mesh

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.mark.parametrize("example", programs.examples(), indirect=True, ids=str)
def test_an_example_prints_what_it_says(example: Example, shown: Shown):
    with Program(example, shown) as program:
        if example.name in ENDLESS:
            lines = [program.line() for _ in PRINTED[example.name]]
        else:
            exit_code, lines, errors = program.result()
            assert exit_code == 0, errors
    check_printed(example.name, lines)


@pytest.mark.parametrize("example", programs.examples("trades"), indirect=True, ids=str)
def test_a_restarted_venue_is_a_gap(example: Example, shown: Shown, mesh: Mesh):
    with Program(example, shown) as program:
        assert re.fullmatch(TRADE, program.line())
        mesh.kill(VENUE)
        assert program.line_like(GAP_AFTER_RESTART)
        assert program.line_like(TRADE)


def test_every_client_has_every_example():
    assert programs.languages() == ["go", "python", "typescript"]
    for language in programs.languages():
        _, examples = programs.commands(language)
        assert {example.name for example in examples} == PRINTED.keys(), language


@pytest.mark.parametrize("example", programs.examples("book"), indirect=True, ids=str)
def test_a_token_is_not_sent_in_plaintext_to_another_machine(example: Example):
    with Program(example, Shown("mesh.example:8081", "secret")) as program:
        exit_code, lines, errors = program.result()
    assert (exit_code, lines) == (1, [])
    assert "mesh.example:8081" in errors
    assert "readable on its way" in errors
    assert "secret" not in errors


@pytest.mark.usefixtures("go")
def test_go_is_formatted_and_vetted():
    folder = CLIENTS / "go"
    formatted = subprocess.run(
        ["gofmt", "-l", "."], cwd=folder, capture_output=True, text=True, check=True
    )
    assert formatted.stdout == ""
    for command in (["go", "vet", "./..."], ["go", "test", "./..."]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("typescript")
def test_typescript_reads_the_vectors():
    command = ["npm", "--prefix", str(CLIENTS / "typescript"), "test"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
