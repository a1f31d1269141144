"""The approvers file and the keys of the mesh itself."""

import shutil
import stat
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import SettingError
from kit.execution.approval.keys import (
    EARLIER_INSPECTOR_FILE,
    INSPECTOR_FILE,
    INSPECTOR_KEY_ID,
    INSPECTOR_PUBLIC_FILE,
    ApproverKeys,
    inspector_key,
    own_approvers,
    publish_inspector_key,
    read_approvers,
)

PUBLIC = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
PUBLIC_TEXT = b64encode(PUBLIC.public_bytes_raw()).decode()
APPROVER = {
    "key_id": '"authority"',
    "public_key": f'"{PUBLIC_TEXT}"',
    "role": '"trade"',
    "accounts": '["binance/main"]',
    "first_epoch": "1",
    "last_epoch": "9",
    "not_after": "2030-01-01T00:00:00Z",
}


class Clock:
    """A clock that a test advances."""

    def __init__(self):
        self.now_ns = 0

    def monotonic_ns(self):
        return self.now_ns


def write(file, *approvers):
    """Replace the approvers file, as an editor does."""
    tables = [
        "\n".join(("[[approvers]]", *(f"{name} = {value}" for name, value in approver.items())))
        for approver in approvers
    ]
    fresh = file.with_suffix(".new")
    fresh.write_text("\n".join(tables))
    fresh.replace(file)


@pytest.fixture
def file(tmp_path):
    """An approvers file with one key."""
    found = tmp_path / "approvers.toml"
    write(found, APPROVER)
    return found


def test_approver_has_role_accounts_epochs_and_end(file):
    (key,) = read_approvers(file).values()
    assert key.public_key.public_bytes_raw() == PUBLIC.public_bytes_raw()
    assert (key.key_id, key.role, key.is_revoked) == ("authority", "trade", False)
    assert (key.first_epoch, key.last_epoch) == (1, 9)
    assert key.not_after_ns == 1_893_456_000 * NANOSECONDS_PER_SECOND
    assert key.is_for("binance", "main")
    assert not key.is_for("binance", "other")
    write(file, APPROVER | {"accounts": '["*"]'})
    assert read_approvers(file)["authority"].is_for("okx", "x")


def test_no_file_has_no_keys(tmp_path):
    keys = ApproverKeys(tmp_path / "none.toml", Clock())
    assert keys.find("authority") is None
    assert keys.problem == ""


@pytest.mark.parametrize(
    "change",
    [
        *({"key_id": text} for text in ('""', "7")),
        *({"public_key": text} for text in ('""', '"@@"', '"AAAA"')),
        *({"role": '"admin"'}, {"first_epoch": "10"}, {"first_epoch": "-1"}),
        *({"not_after": "2030-01-01T00:00:00"}, {"other": "1"}, {"accounts": '"*"'}),
    ],
)
def test_invalid_approver_is_a_setting_error(file, change):
    write(file, APPROVER | change)
    with pytest.raises(SettingError):
        read_approvers(file)


def test_key_that_is_there_twice_is_a_setting_error(file):
    write(file, APPROVER, APPROVER)
    with pytest.raises(SettingError):
        read_approvers(file)


def test_public_key_under_two_ids_is_a_setting_error(file):
    write(file, APPROVER, {**APPROVER, "key_id": '"another"'})
    with pytest.raises(SettingError, match="each public_key must be there once"):
        read_approvers(file)


def test_key_is_revoked_rotated_and_restored_while_running(file):
    clock = Clock()
    keys = ApproverKeys(file, clock)

    def after(*approvers):
        write(file, *approvers)
        clock.now_ns += NANOSECONDS_PER_SECOND
        return keys.find("authority")

    assert not keys.find("authority").is_revoked
    assert after(APPROVER | {"revoked": "true"}).is_revoked
    assert after(APPROVER | {"key_id": '"next"'}) is None
    assert keys.find("next") is not None
    assert after(APPROVER | {"role": '"admin"'}) is None
    assert keys.find("next") is None
    assert after(APPROVER) is not None
    file.unlink()
    clock.now_ns += NANOSECONDS_PER_SECOND
    assert keys.find("authority") is None


def test_own_key_is_shared_and_readable_by_its_owner_only(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: own_approvers(tmp_path), range(8)))
    (public,) = {one.public_key.public_bytes_raw() for (one,) in found}
    assert inspector_key(tmp_path).public_key().public_bytes_raw() == public
    file = tmp_path / INSPECTOR_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    published = tmp_path / INSPECTOR_PUBLIC_FILE
    assert b64decode(published.read_bytes()) == public
    assert sorted(file.parent.parent.iterdir()) == [file.parent, published]


def test_venues_need_the_public_key_only(tmp_path):
    public = publish_inspector_key(tmp_path)
    shutil.rmtree((tmp_path / INSPECTOR_FILE).parent)
    (key,) = own_approvers(tmp_path)
    assert key.public_key.public_bytes_raw() == public
    assert not (tmp_path / INSPECTOR_FILE).exists()


def test_the_key_of_an_earlier_version_is_kept_in_its_new_place(tmp_path):
    key = Ed25519PrivateKey.generate()
    earlier = tmp_path / EARLIER_INSPECTOR_FILE
    earlier.parent.mkdir()
    earlier.write_bytes(key.private_bytes_raw())
    assert publish_inspector_key(tmp_path) == key.public_key().public_bytes_raw()
    assert not earlier.exists()
    assert inspector_key(tmp_path).private_bytes_raw() == key.private_bytes_raw()


def test_own_key_is_known_only_where_it_is_accepted(tmp_path, file):
    (key,) = own = own_approvers(tmp_path)
    assert ApproverKeys(file, Clock()).find(key.key_id) is None
    assert ApproverKeys(file, Clock(), own).find(key.key_id) is key
    assert (key.key_id, key.last_epoch) == (INSPECTOR_KEY_ID, (1 << 63) - 1)
