"""Keys from the settings, and the one for development."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.base.errors import SettingError
from kit.execution.approval import DEVELOPMENT_KEY_ID
from kit.execution.approval_keys import (
    DEVELOPMENT_FILE,
    development_signer,
    known_keys,
    public_text,
)

PUBLIC = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()


def test_key_in_the_settings_is_known_by_its_id(tmp_path):
    found = known_keys([public_text("authority", PUBLIC)], tmp_path, live=True)
    assert {name: key.public_bytes_raw() for name, key in found.items()} == {
        "authority": PUBLIC.public_bytes_raw()
    }


@pytest.mark.parametrize(
    "text",
    [
        *("", "authority", "authority:", "authority:@@", "authority:AAAA"),
        *(public_text("", PUBLIC), public_text(DEVELOPMENT_KEY_ID, PUBLIC)),
    ],
)
def test_invalid_key_is_a_setting_error(tmp_path, text):
    with pytest.raises(SettingError):
        known_keys([text], tmp_path, live=True)


def test_development_key_is_shared_and_readable_by_its_owner_only(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: known_keys([], tmp_path, live=False), range(8)))
    assert len({one[DEVELOPMENT_KEY_ID].public_bytes_raw() for one in found}) == 1
    assert development_signer(tmp_path).key_id == DEVELOPMENT_KEY_ID
    file = tmp_path / DEVELOPMENT_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_live_world_has_no_development_key(tmp_path):
    assert known_keys([], tmp_path, live=True) == {}
    assert not (tmp_path / DEVELOPMENT_FILE).exists()
