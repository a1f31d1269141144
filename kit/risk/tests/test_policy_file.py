from decimal import Decimal
from pathlib import Path

import pytest

from kit.risk.policy import OPEN_POLICY, Policy
from kit.risk.policy_file import REQUIRED, PolicyInvalid, read_policy
from kit.risk.scopes import PositionKey

WHOLE = """
accounts = ["binance/main"]
instruments = ["binance/BTCUSDT", "okx/*"]
strategies = ["ema"]
order_size_max = { "binance/BTCUSDT" = "0.5" }
order_notional_max = { USDT = 20000, BTC = 0.5 }
trading_hours = [
  { days = ["mon", "tue"], start = "08:00", end = "20:00" },
  { days = ["mon"], start = "20:00", end = "24:00" },
]
currency = "USDT"
rates = { BTC = 60000 }
order_value_max = 25000
price_deviation_max = { mesh = 0.02, "instrument:okx/BTC-USDT" = 0.05 }
price_age_ms_max = "waived"
entries_per_minute_max = { mesh = 20, "strategy:*" = 5 }
positions_max = 10
exposure_max = { mesh = 100000, "account:binance/main" = 50000, "group:majors" = 60000 }
net_exposure_max = "waived"
loss_per_day_max = { "strategy:*" = 500 }
losses_in_row_max = 3
seconds_after_loss_min = 600
closed_periods = [
  { start = 2026-12-24T18:00:00Z, end = 2026-12-26T00:00:00Z, reason = "holidays" },
]
book_states = ["proven"]
throttled_entries_per_minute_max = 3
entries_per_day_max = "waived"
repeated_entries_per_minute_max = 1
self_matches_max = 0
open_order_notional_max = 40000
leverage_max = { mesh = 2, "account:binance/main" = 3 }
liquidation_distance_min = 0.2
maintenance_margin = { binance = 0.005 }
balance_min = 1000
drawdown_max = { mesh = 8000, "strategy:*" = 1500 }
drawdown_ratio_max = 0.2
escalations = [
  { limit = "drawdown_max", mode = "closing_all" },
  { limit = "drawdown_max", share = 0.8, mode = "throttled", release_seconds = 3600 },
]

[groups]
majors = ["binance/BTCUSDT", "okx/BTC-USDT"]
"""

OVERLAPPING = """
trading_hours = [
  { start = "08:00", end = "10:00" },
  { days = ["wed"], start = "09:59", end = "11:00" },
]
"""


def problems(text, *, is_complete=False):
    with pytest.raises(PolicyInvalid) as raised:
        read_policy(text, is_complete=is_complete)
    return raised.value.problems


def test_whole_policy_is_read():
    policy = read_policy(WHOLE, is_complete=True)
    assert policy.entries_per_minute_max == 20
    assert policy.limits["entries_per_minute_max"] == {"strategy:*": Decimal(5)}
    assert policy.limits["price_deviation_max"] == {
        "mesh": Decimal("0.02"), "instrument:okx/BTC-USDT": Decimal("0.05")
    }  # fmt: skip
    assert policy.limits["losses_in_row_max"] == {"strategy:*": Decimal(3)}
    assert policy.waived == ("price_age_ms_max", "entries_per_day_max", "net_exposure_max")
    assert policy.version == read_policy(f"# the same\n{WHOLE}", is_complete=True).version


def test_policy_without_the_newer_keys_is_still_read():
    text = 'accounts = ["*"]\ninstruments = ["*"]\norder_notional_max = { USDT = 1 }\n'
    expected = Policy(
        accounts=("*",), instruments=("*",), order_notional_max={"USDT": Decimal(1)},
        entries_per_minute_max=7,
    )  # fmt: skip
    assert read_policy(f"{text}entries_per_minute_max = 7", is_complete=False) == expected
    assert not OPEN_POLICY.limits


def test_symbol_may_have_a_slash():
    text = """
    instruments = ["kraken/BTC/USDT"]
    order_size_max = { "kraken/BTC/USDT" = 1 }
    positions_max = { "instrument:kraken/BTC/USDT" = 1, "group:bitcoin" = 1 }
    groups = { bitcoin = ["kraken/BTC/USDT"] }
    """
    policy = read_policy(text, is_complete=False)
    assert policy.allows_instrument("kraken", "BTC/USDT")
    scopes = PositionKey("kraken", "main", "BTC/USDT").scopes(policy.groups)
    assert policy.limits["positions_max"].keys() < {scope.key for scope in scopes}


def test_every_missing_limit_is_named_at_once():
    assert [one.field for one in problems("", is_complete=True)] == list(REQUIRED)
    assert read_policy("", is_complete=False) == Policy()
    waived = "".join(f'{name} = "waived"\n' for name in REQUIRED)
    # Who may trade what cannot be waived, only allowed for all.
    fields = [one.field for one in problems(waived, is_complete=True)]
    assert fields == ["accounts", "instruments", "strategies"]


@pytest.mark.parametrize(
    ("text", "field", "value", "allowed"),
    [
        ("exposure_maxx = 1", "exposure_maxx", "1", "did you mean 'exposure_max'"),
        ("positions_max = -1", "positions_max", "-1", "a whole number, 0 or above"),
        ("positions_max = 1.5", "positions_max", "1.5", "a whole number"),
        ("positions_max = true", "positions_max", "True", "a whole number"),
        ("price_deviation_max = nan", "price_deviation_max", "NaN", "a number"),
        ("price_deviation_max = {}", "price_deviation_max", "{}", "mesh, venue:NAME"),
        ('positions_max = { mesh = "waived" }', "positions_max.mesh", "waived", "whole limit"),
        ("positions_max = { all = 1 }", "positions_max.all", "all", "mesh, venue:NAME"),
        ('positions_max = { "mesh:x" = 1 }', "positions_max.mesh:x", "mesh:x", "mesh"),
        ('positions_max = { "account:a" = 1 }', "positions_max.account:a", "account:a", "VENUE/"),
        ('positions_max = { "group:a" = 1 }', "positions_max.group:a", "group:a", "has none"),
        ('losses_in_row_max = { mesh = 1 }', "losses_in_row_max.mesh", "mesh", "strategy:NAME"),
        ("order_size_max = { a = 1 }", "order_size_max.a", "a", "venue/SYMBOL"),
        ("order_notional_max = { USDT = -1 }", "order_notional_max.USDT", "-1", "0 or above"),
        ("order_notional_max = { USDT = 1e41 }", "order_notional_max.USDT", "E+41", "0 or above"),
        ("positions_max = 1e9999999999999999999", "positions_max", "1e9999", "a whole number"),
        ('positions_max = { "venue:a/b" = 1 }', "positions_max.venue:a/b", "venue:a/b", "NAME"),
        ('positions_max = { "instrument:a" = 1 }', "positions_max.instrument:a", "a", "/SYMBOL"),
        ('positions_max = { "instrument:a/*" = 1 }', "positions_max.instrument:a/*", "a",
         "/SYMBOL"),
        ("seconds_after_loss_min = 86401", "seconds_after_loss_min", "86401", "0 to 86400"),
        ('accounts = ["binance/*"]', "accounts", "binance/*", "venue/account"),
        ('instruments = ["*/BTCUSDT"]', "instruments", "*/BTCUSDT", "venue/SYMBOL"),
        ('strategies = [""]', "strategies", "", "a list of names"),
        ('[groups]\na = ["binance/*"]', "groups.a", "binance/*", "venue/SYMBOL"),
        ("rates = { BTC = 0 }", "rates.BTC", "0", "above 0"),
        ("accounts = 1", "accounts", "1", "venue/account"),
        ('accounts = ["binance"]', "accounts", "binance", "venue/account"),
        ("exposure_max = 1", "currency", "", "exposure_max need it"),
        (
            'exposure_max = 1\ncurrency = "USDT"\norder_notional_max = { BTC = 1 }',
            "rates.BTC", "", "the value of 1 BTC in USDT",
        ),
        ('trading_hours = [{ start = "9:00", end = "10:00" }]', "trading_hours[0].start", "9:00",
         "a time in UTC"),
        ('trading_hours = [{ start = "10:00", end = "10:00" }]', "trading_hours[0].end", "10:00",
         "later than start"),
        ('trading_hours = [{ days = ["Mo"], start = "08:00", end = "10:00" }]',
         "trading_hours[0].days", "Mo", "mon, tue"),
        (OVERLAPPING,
         "trading_hours", "mon tue", "those of wed do"),
        ("=", "file", "no TOML", "line 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_is_allowed(text, field, value, allowed):
    (problem,) = problems(text)
    assert problem.field == field
    assert value in problem.value
    assert allowed in problem.allowed


def test_all_problems_are_found_at_once():
    fields = [one.field for one in problems("a = 1\npositions_max = -1\nexposure_max = -1")]
    assert fields == ["a", "positions_max", "exposure_max", "currency"]


def test_example_is_a_whole_policy():
    text = (Path(__file__).parents[3] / "docs" / "policy.example.toml").read_text()
    assert read_policy(text, is_complete=True).waived == ()
