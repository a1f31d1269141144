"""``./venuemesh migrate`` with a real PostgreSQL."""

import psycopg
import pytest

from kit.base import schema
from ops import cli

NEWEST = max(file.number for file in schema.files())


@pytest.fixture(autouse=True)
def _settings(empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENUEMESH_DATABASE_URL", empty_postgres_url)


def test_check_fails_before_and_passes_after(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", "--check"]) == 1
    assert f"has schema 0, and this program needs schema {NEWEST}" in capsys.readouterr().err
    assert cli.main(["migrate"]) == 0
    assert f"schema 0 is now {NEWEST}: 0001_market_data.sql" in capsys.readouterr().out
    assert cli.main(["migrate", "--check"]) == 0
    assert f"schema {NEWEST}, wanted {NEWEST}" in capsys.readouterr().out
    assert cli.main(["migrate"]) == 0
    assert f"schema {NEWEST}, wanted {NEWEST}: nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("compatible_from", "code", "words"),
    [
        (NEWEST, 0, f"schema 9999 (newer, and compatible), wanted {NEWEST}"),
        (9999, 1, "has schema 9999, for programs of schema 9999 or newer"),
    ],
)
def test_check_tells_whether_a_newer_schema_can_be_used(
    compatible_from: int,
    code: int,
    words: str,
    empty_postgres_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["migrate"]) == 0
    with psycopg.connect(empty_postgres_url) as connection:
        connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum, compatible_from)"
            " VALUES (9999, '9999_later.sql', '', %s)",
            [compatible_from],
        )
    assert cli.main(["migrate", "--check"]) == code
    assert words in "".join(capsys.readouterr())


def test_a_database_that_is_away_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VENUEMESH_DATABASE_URL", "postgresql://postgres@127.0.0.1:1/venuemesh")
    assert cli.main(["migrate"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "PostgreSQL is away" in lines[0]
