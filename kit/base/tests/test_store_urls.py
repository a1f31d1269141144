"""URLs with and without passwords, and texts that must not show them."""

from pathlib import Path

import pytest

from kit.base import settings
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.base.store_urls import password_of, redacted, with_password, without_password

ODD = "p:/@?#%&é"


@pytest.mark.parametrize(
    "url",
    [
        "redis://user@host:1/0",
        "rediss://host/0?ssl_cert_reqs=none",
        "postgresql://user@a:1,b:2/db?sslmode=require",
        "postgresql://user@[::1]:5432/db",
    ],
)
def test_a_password_is_added_and_removed(url: str):
    login = with_password(url, ODD)
    assert password_of(login) == ODD
    assert without_password(login) == url
    assert with_password(with_password(url, "other"), ODD) == login


@pytest.mark.parametrize(
    "text",
    [
        "redis://user:s3cret@host:1/0",
        "postgresql://user:s3cret/more@host/db and more",
        "postgresql://user:s3cret@more@host/db",
        "postgresql://host/db?user=a&password=s3cret&sslmode=require",
        "host=a password=s3cret dbname=b",
        "two: redis://:s3cret@host and redis://b:s3cret@host",
    ],
)
def test_a_password_is_not_shown(text: str):
    assert "s3cret" not in redacted(text)
    error = SettingError("mesh.redis_url", text, f"allowed, unlike {text}")
    assert "s3cret" not in f"{error} {error.value} {error.allowed} {error.args}"
    assert "host" in redacted(text)


def test_words_without_a_password_stay():
    text = "postgresql://user@host:5432/db at 12:30, see a@b and http://c:80/d"
    assert redacted(text) == text


def test_a_password_comes_from_its_file(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    mesh = settings.load(
        MeshSettings,
        "mesh",
        {
            "VENUEMESH_REDIS_URL": "redis://bars@host/0",
            "VENUEMESH_REDIS_PASSWORD_FILE": str(file),
            "VENUEMESH_DATABASE_URL": "postgresql://bars:inline@host/db",
        },
        tmp_path / "none.toml",
    )
    assert mesh.redis_login_url == "redis://bars:s3cret@host/0"
    assert mesh.database_login_url == "postgresql://bars:inline@host/db"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://bars@host/0", "mesh.redis_password_file = '{file}': cannot be read: No such"),
        ("redis://bars:s3cret@host/0", "mesh.redis_url = 'redis://bars:***@host/0': must have no"),
    ],
)
def test_a_password_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path, url: str, words: str):
    file = str(tmp_path / "missing")
    mesh = MeshSettings(redis_url=url, redis_password_file=file)
    with pytest.raises(SettingError) as caught:
        _ = mesh.redis_login_url
    assert words.format(file=file) in str(caught.value)
