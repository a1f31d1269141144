"""A new venue's name and port, and the printed text. That it works is in tests/conformance."""

from pathlib import Path

import pytest

from ops import cli
from ops.commands.new_venue import PORT_FIRST, free_port
from ops.templates.variants import NewVenueOptions


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Bad", "is no name"),
        ("9venue", "is no name"),
        ("two words", "is no name"),
        ("import", "is no name"),
        ("../away", "is no name"),
        ("a" * 25, "is no name"),
        ("binance", "is taken"),
        ("binance_futures", "is taken"),
        ("recorder", "is taken"),
        ("json", "is taken"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused_in_one_line(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    assert cli.main(["new-venue", name, "--outside", str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not folder.exists()


def test_nothing_is_written_over_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["new-venue", "faraway", "--outside", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_port_is_the_first_that_no_other_venue_has() -> None:
    assert free_port(set()) == PORT_FIRST
    assert free_port({PORT_FIRST, PORT_FIRST + 1, PORT_FIRST + 3}) == PORT_FIRST + 2


def test_the_texts_fit_the_options(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    options = ("--book", "rest", "--rule", "time", "--trade-ids", "text", "--no-quotes")
    assert cli.main(["new-venue", "bitstamp", "--outside", str(folder), *options]) == 0
    readme = (folder / "bitstamp" / "README.md").read_text()
    for text in ("counts by one", "the whole book, then changes", "what was missed", "QUOTES"):
        assert text not in readme
    assert "| the book at the start and after a loss; to compare a book with |" in readme
    written = "\n".join(file.read_text() for file in folder.rglob("*") if file.is_file())
    assert "test_trades_count_by_one" not in written
    assert "an Bitstamp" not in written


@pytest.mark.parametrize(
    ("book", "rule", "proof"),
    [
        ("feed", "chain", "chained ids"),
        ("rest", "overlap", "first and last update id, REST snapshot"),
        ("rest", "time", "nothing: updates have only a time, REST snapshot"),
    ],
)
def test_the_table_of_venues_says_what_proves_a_book(book: str, rule: str, proof: str) -> None:
    assert NewVenueOptions(book, rule).book_proof == proof


def test_it_tells_what_is_left_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert cli.main(["new-venue", "far_away", "--outside", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "./venuemesh conform far_away" in printed
    assert "command: [venue, far_away]" in printed
    written = "\n".join(file.read_text() for file in folder.rglob("*") if file.is_file())
    assert "examplex" not in written.lower()
    assert "65000" not in written
    assert "class FarAwayFeedProtocol" in written
