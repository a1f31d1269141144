"""The accounts file: its limits hold exactly, and are read again while the process runs."""

from decimal import Decimal
from pathlib import Path

import pytest

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import SettingError
from kit.execution.account_terms import AMOUNTS, COUNTS, NO_LIMITS, AccountsFile, read_accounts

ORDERS_PAGE = Path(__file__).parents[3] / "docs" / "ORDERS.md"
CONTENT = """
[[accounts]]
account = "binance/main"
position_mode = "one_way"
margin_mode = "cross"
leverage_max = 5
clock_skew_max_ms = 500

[accounts.limits]
order_size_max = { BTCUSDT = 0.1, ETHUSDT = "2" }
order_notional_max = { USDT = 10000 }
open_orders_max = 20
orders_per_second_max = 5
position_size_max = { BTCUSDT = "0.30" }
position_notional_max = { USDT = 30000 }

[[keys]]
key_id = "desk"
limits = { open_orders_max = 3 }
"""


class Clock:
    """A clock that a test advances."""

    def __init__(self):
        self.now_ns = 0

    def monotonic_ns(self):
        return self.now_ns


def write(file, content):
    fresh = file.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(file)


def test_terms_of_accounts_and_keys_are_exact(tmp_path):
    file = tmp_path / "accounts.toml"
    write(file, CONTENT)
    accounts = AccountsFile(file, Clock(), is_required=True)
    terms = accounts.account("binance", "main")
    assert (terms.position_mode, terms.margin_mode) == ("one_way", "cross")
    assert (terms.leverage_max, terms.clock_skew_max_ms) == (Decimal(5), 500)
    assert terms.limits.order_size_max == {"BTCUSDT": Decimal("0.1"), "ETHUSDT": Decimal(2)}
    assert terms.limits.position_size_max == {"BTCUSDT": Decimal("0.3")}
    assert (terms.limits.open_orders_max, terms.limits.orders_per_second_max) == (20, 5)
    assert accounts.key("desk").open_orders_max == 3
    assert accounts.account("binance", "other").limits == NO_LIMITS
    assert accounts.key("other") == NO_LIMITS


@pytest.mark.parametrize(
    "content",
    [
        "",
        "accounts = 1",
        "[[accounts]]\naccount = 'main'",
        "[[accounts]]\naccount = 'a/b'\nother = 1",
        "[[accounts]]\naccount = 'a/b'\n[[accounts]]\naccount = 'a/b'",
        "[[keys]]\nkey_id = 'k'\n[[keys]]\nkey_id = 'k'",
        "[[accounts]]\naccount = 'a/b'\nposition_mode = 'both'",
        "[[accounts]]\naccount = 'a/b'\nleverage_max = 0",
        "[[accounts]]\naccount = 'a/b'\nclock_skew_max_ms = 0",
        "[[accounts]]\naccount = 'a/b'\nlimits = { order_size_max = { X = -1 } }",
        "[[accounts]]\naccount = 'a/b'\nlimits = { order_size_max = { X = nan } }",
        "[[accounts]]\naccount = 'a/b'\nlimits = { position_notional_max = { X = inf } }",
        "[[accounts]]\naccount = 'a/b'\nlimits = { open_orders_max = -1 }",
        "[[accounts]]\naccount = 'a/b'\nlimits = { orders_max = 1 }",
        "[[accounts]]\naccount = 'a/b'\nlimits = { order_size_max = { '*' = 1 } }",
        "[[keys]]\nkey_id = 'k'\nlimits = { position_notional_max = { '*' = 1 } }",
    ],
)
def test_invalid_content_is_a_setting_error(tmp_path, content):
    file = tmp_path / "accounts.toml"
    write(file, content)
    with pytest.raises(SettingError):
        read_accounts(file)
    with pytest.raises(SettingError):
        AccountsFile(file, Clock(), is_required=False)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (
            "[[accounts]]\naccount = 'a/b'\nlimits = { order_sice_max = {} }",
            [
                "`order_sice_max`",
                "$.accounts[0].limits",
                "order_notional_max",
                "'order_size_max'?",
            ],
        ),
        ("[[accounts]]\naccount = 'a/b'\nlimit = 1", ["`limit`", "leverage_max", "'limits'?"]),
        ("[[keys]]\nkey_id = 'k'\nlimit = {}", ["`limit`", "key_id, limits", "'limits'?"]),
        ("[[account]]\naccount = 'a/b'", ["`account`", "accounts, keys", "'accounts'?"]),
    ],
    ids=["limits", "account", "key", "file"],
)
def test_unknown_field_is_named_with_what_is_allowed_there(tmp_path, content, texts):
    file = tmp_path / "accounts.toml"
    write(file, content)
    with pytest.raises(SettingError) as caught:
        read_accounts(file)
    for text in (str(file), *texts):
        assert text in str(caught.value)


def test_changed_file_holds_at_once_and_an_unreadable_one_changes_nothing(tmp_path):
    clock, file = Clock(), tmp_path / "accounts.toml"
    with pytest.raises(SettingError):
        AccountsFile(file, clock, is_required=True)
    accounts = AccountsFile(file, clock, is_required=False)
    assert accounts.key("desk") == NO_LIMITS
    for content, count in [(CONTENT, 3), (CONTENT.replace("= 3", "= 4"), 4)]:
        write(file, content)
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert accounts.key("desk").open_orders_max == count
        assert accounts.problem == ""
    for content in ("", CONTENT + "other = 1", None):
        file.unlink() if content is None else write(file, content)
        clock.now_ns += NANOSECONDS_PER_SECOND
        assert accounts.key("desk").open_orders_max == 4
        assert str(file) in accounts.problem
    write(file, CONTENT)
    clock.now_ns += NANOSECONDS_PER_SECOND
    assert accounts.key("desk").open_orders_max == 3
    assert accounts.problem == ""


def test_example_of_the_documentation_can_be_read(tmp_path):
    chapter = ORDERS_PAGE.read_text().partition("\n## Limits\n")[2]
    file = tmp_path / "accounts.toml"
    write(file, chapter.partition("```toml\n")[2].partition("```")[0])
    (terms,) = read_accounts(file).accounts
    assert all(getattr(terms.limits, name) for name in (*AMOUNTS, *COUNTS))
