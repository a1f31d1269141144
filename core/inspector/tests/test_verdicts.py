from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, risk_pb2

from core.inspector import policy as policies
from core.inspector.modes import first_mode, scopes_of
from core.inspector.position_opener import proposed_entry
from core.inspector.tests.rig import SPOT, policy_file
from core.inspector.verdicts import ProposedEntry, RiskState, verdict_on_entry, verdict_on_reduction
from kit.base.errors import SettingError
from kit.risk.policy import OPEN_POLICY, Policy
from kit.risk.policy_file import REQUIRED

ACTIVE = risk_pb2.TRADING_MODE_ACTIVE
HALTED = risk_pb2.TRADING_MODE_HALTED
NOW_NS = 1_000
POLICY = Policy(
    accounts=("binance/paper",),
    instruments=("binance/BTCUSDT",),
    order_size_max={"binance/BTCUSDT": Decimal("0.5")},
    order_notional_max={"USDT": Decimal(30_000)},
    entries_per_minute_max=3,
)
STATE = RiskState(NOW_NS, {"mesh": ACTIVE, "venue:binance": ACTIVE}, SPOT, 0, 2)
ENTRY = ProposedEntry(
    "binance", "paper", "BTCUSDT", "0.5", "60000", "59000", NOW_NS + 1, strategy="ema"
)
INVERSE = types_pb2.Instrument(
    venue="binance", symbol="BTCUSDT", base="BTC", quote="USD",
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL, contract_kind=types_pb2.CONTRACT_KIND_INVERSE,
    settlement_asset="BTC", size_unit=types_pb2.SIZE_UNIT_QUOTE,
)  # fmt: skip


def blocked(verdict):
    return [one.name for one in verdict.checks if one.result == checks_pb2.CHECK_RESULT_BLOCKED]


def test_order_at_every_limit_is_allowed():
    verdict = verdict_on_entry(POLICY, STATE, ENTRY)
    assert (verdict.verdict, blocked(verdict)) == (risk_pb2.VERDICT_ALLOW, [])
    assert [one.name for one in verdict.checks] == [
        *("mode", "accounts", "instruments", "expiry", "order_size_max", "order_notional_max"),
        *("entries_per_minute_max", "open_positions_max", "stop_price"),
    ]
    notional = verdict.checks[5]
    assert (notional.projected, notional.limit, notional.unit) == ("30000", "30000", "USDT")


@pytest.mark.parametrize(
    ("name", "policy", "state", "entry"),
    [
        ("accounts", {"accounts": ()}, {}, {}),
        ("accounts", {}, {}, {"account": "other"}),
        ("instruments", {"instruments": ("okx/*",)}, {}, {}),
        ("expiry", {}, {"now_ns": NOW_NS + 1}, {}),
        ("order_size_max", {"order_size_max": {"binance/BTCUSDT": Decimal("0.4")}}, {}, {}),
        ("order_notional_max", {}, {}, {"price": "60000.01"}),
        ("order_notional_max", {}, {}, {"price": ""}),
        ("order_notional_max", {}, {}, {"price": "NaN"}),
        ("order_notional_max", {}, {}, {"price": "1e999999"}),
        ("order_notional_max", {}, {"instrument": None}, {}),
        ("order_notional_max", {"order_notional_max": {"USDC": Decimal(1)}}, {}, {}),
        ("order_notional_max", {}, {"instrument": INVERSE}, {}),
        ("open_positions_max", {}, {"open_positions": 1}, {}),
        ("stop_price", {}, {}, {"stop_price": ""}),
        ("stop_price", {}, {}, {"stop_price": "-1"}),
    ],
)
def test_order_beyond_one_limit_is_blocked(name, policy, state, entry):
    changed = Policy(
        **{field: getattr(POLICY, field) for field in Policy.__struct_fields__} | policy
    )
    verdict = verdict_on_entry(changed, replace(STATE, **state), replace(ENTRY, **entry))
    assert (verdict.verdict, blocked(verdict)) == (risk_pb2.VERDICT_BLOCK, [name])


@pytest.mark.parametrize("size", ["", "0", "-1", "NaN", "Infinity", "x", "1e50"])
def test_size_that_is_none_is_blocked(size):
    verdict = verdict_on_entry(POLICY, STATE, replace(ENTRY, size=size))
    assert "order_size_max" in blocked(verdict)
    assert verdict.verdict == risk_pb2.VERDICT_BLOCK


def test_sale_of_a_strategy_is_valued_at_the_reference_price_if_that_is_higher():
    intent = decisions_pb2.ExecutionIntent(
        side=types_pb2.SIDE_SELL, price="1", reference_price="60000"
    )
    entry = proposed_entry(intent)
    assert (entry.price, entry.stated_prices) == ("60000", (Decimal(1),))
    intent.price = "61000"
    assert proposed_entry(intent).price == "61000"
    intent.price = ""
    assert proposed_entry(intent).stated_prices == (Decimal(60_000),)
    # Without a good price, none is known.
    intent.reference_price = "NaN"
    assert (proposed_entry(intent).price, proposed_entry(intent).stated_prices) == ("", (None,))
    intent.price = "1"
    assert proposed_entry(intent).price == ""
    intent.side, intent.price, intent.reference_price = types_pb2.SIDE_BUY, "1", "60000"
    assert proposed_entry(intent).price == "1"


def test_too_many_orders_are_throttled():
    verdict = verdict_on_entry(POLICY, replace(STATE, recent_entries=3), ENTRY)
    assert verdict.verdict == risk_pb2.VERDICT_THROTTLE


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (risk_pb2.TRADING_MODE_STANDING_DOWN, risk_pb2.VERDICT_STAND_DOWN),
        (risk_pb2.TRADING_MODE_CLOSING_ALL, risk_pb2.VERDICT_CLOSE_ALL),
        (HALTED, risk_pb2.VERDICT_STAND_DOWN),
    ],
)
def test_strictest_mode_stops_entries_and_no_reduction(mode, expected):
    state = replace(STATE, modes={"mesh": ACTIVE, "strategy:a": mode, "venue:binance": ACTIVE})
    verdict = verdict_on_entry(POLICY, state, ENTRY)
    assert (verdict.verdict, verdict.mode) == (expected, mode)
    assert verdict.checks[0].detail == "of strategy:a"
    reduction = verdict_on_reduction(state)
    assert (reduction.verdict, reduction.is_reduction) == (risk_pb2.VERDICT_ALLOW, True)
    assert reduction.checks[0].result == checks_pb2.CHECK_RESULT_NOTED


def test_person_needs_no_stop_and_may_hold_more():
    entry = replace(ENTRY, stop_price="", expires_time_ns=0, is_of_strategy=False)
    verdict = verdict_on_entry(POLICY, replace(STATE, open_positions=1), entry)
    assert verdict.is_allowed


def test_live_mesh_begins_halted_and_allows_nothing():
    assert first_mode("mesh", "live") == HALTED
    scopes = ["mesh", "venue:binance", "account:binance/paper", "strategy:a"]
    assert scopes_of("binance", "paper", "a") == scopes
    assert {first_mode(scope, "simulate") for scope in scopes} == {ACTIVE}
    verdict = verdict_on_entry(policies.load("", "live"), STATE, ENTRY)
    assert {"accounts", "instruments", "order_notional_max"} <= set(blocked(verdict))
    assert policies.load("", "simulate") is OPEN_POLICY


def test_policy_is_read_from_a_file_and_has_a_version(tmp_path):
    text = 'accounts = ["binance/paper"]\ninstruments = ["binance/BTCUSDT"]\n'
    text += 'order_size_max = { "binance/BTCUSDT" = 0.5 }\norder_notional_max = { USDT = 30000 }\n'
    found = policies.load(policy_file(tmp_path, text + "entries_per_minute_max = 3"), "replay")
    assert (found, found.version) == (POLICY, POLICY.version)
    other = policies.load(policy_file(tmp_path, text + "entries_per_minute_max = 4"), "replay")
    assert other.version != POLICY.version


def test_policy_of_a_live_mesh_sets_or_waives_each_limit(tmp_path):
    text = 'accounts = ["*"]\ninstruments = ["*"]\nstrategies = ["*"]\nexposure_max = 1\n'
    text += 'currency = "USDT"\nentries_per_minute_max = 3\n'
    with pytest.raises(SettingError) as raised:
        policies.load(policy_file(tmp_path, text), "live")
    missing = [name for name in REQUIRED if f" {name}: missing" in str(raised.value)]
    assert set(REQUIRED) - set(missing) == {
        "accounts", "instruments", "strategies", "exposure_max", "entries_per_minute_max"
    }  # fmt: skip
    waived = "".join(f'{name} = "waived"\n' for name in missing)
    found = policies.load(policy_file(tmp_path, text + waived), "live")
    assert set(found.waived) == set(missing)
    verdict = verdict_on_entry(found, replace(STATE, instrument=INVERSE), ENTRY)
    assert blocked(verdict) == ["exposure_max"]


@pytest.mark.parametrize(
    "text",
    ["unknown = 1", "accounts = 1", "order_size_max = { a = -1 }", "entries_per_minute_max = -1",
     "order_notional_max = { USDT = nan }", "="],
)  # fmt: skip
def test_policy_that_cannot_be_read_is_a_setting_error(tmp_path, text):
    with pytest.raises(SettingError, match=r"inspector\.policy_file"):
        policies.load(policy_file(tmp_path, text), "simulate")
