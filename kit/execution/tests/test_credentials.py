"""Credentials come from the environment or from files, and are never shown."""

import pytest

from kit.base.errors import SettingError
from kit.execution import credentials

SECRET = "very-secret"
KEY, SECRET_NAME = "VENUEMESH_OKX_FUTURES_MY_DESK_API_KEY", "VENUEMESH_OKX_FUTURES_MY_DESK_SECRET"


def load(environment):
    return credentials.load("okx_futures", "my-desk", environment)


def test_credentials_are_read_from_the_environment():
    found = load({KEY: "k", SECRET_NAME: f" {SECRET}\n"})
    assert (found.account, found.secrets) == ("my-desk", {"apiKey": "k", "secret": SECRET})


def test_credentials_in_files_take_precedence(tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    found = load({KEY: "k", SECRET_NAME: "other", f"{SECRET_NAME}_FILE": str(file)})
    assert found.secrets["secret"] == SECRET


def test_password_is_optional():
    name = "VENUEMESH_OKX_FUTURES_MY_DESK_PASSWORD"
    assert load({KEY: "k", SECRET_NAME: "s", name: "p"}).secrets["password"] == "p"


@pytest.mark.parametrize(
    "environment", [{}, {KEY: "k"}, {KEY: "k", SECRET_NAME: " "}, {SECRET_NAME: SECRET}]
)
def test_missing_variable_is_named_without_other_values(environment):
    with pytest.raises(SettingError) as caught:
        load(environment)
    assert "VENUEMESH_OKX_FUTURES_MY_DESK_" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_unreadable_file_is_named(tmp_path):
    with pytest.raises(SettingError, match="cannot be read"):
        load({KEY: "k", f"{SECRET_NAME}_FILE": str(tmp_path / "none")})


def test_repr_hides_the_secrets():
    found = load({KEY: "k", SECRET_NAME: SECRET})
    assert SECRET not in repr(found)
    assert SECRET not in f"{found}"
