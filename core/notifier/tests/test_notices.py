"""The text of each kind of event."""

import pytest
from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from core.notifier.notices import TEXT_LENGTH_MAX, NoticeLevel, notice_of
from core.notifier.tests import examples
from kit.events.tests.rig import filled

LOOK, PAGE = NoticeLevel.LOOK, NoticeLevel.PAGE
KEPT = "checkpoint of the audit log, to be kept:\nvenuemesh/main\n7\nAAAA\n\n— venuemesh/main BBBB"
TOLD = {
    "halted": (
        examples.mode_changed(1),
        PAGE,
        "mesh: mode ACTIVE → HALTED, by ann: drawdown",
    ),
    "released": (
        examples.mode_changed(1, risk_pb2.TRADING_MODE_THROTTLED),
        LOOK,
        "mesh: mode ACTIVE → THROTTLED, by ann: drawdown",
    ),
    "without a stop": (
        examples.protection_changed(1, "it has no stop"),
        PAGE,
        "stop of ema in okx/main BTC-USDT, which holds 0.5: it has no stop",
    ),
    "with a stop again": (
        examples.protection_changed(1, ""),
        LOOK,
        "stop of ema in okx/main BTC-USDT, which holds 0.5: nothing is wrong now",
    ),
    "proposed": (
        examples.proposal_changed(1, risk_pb2.PROPOSAL_STATE_PENDING),
        LOOK,
        "robot proposes an order, r-1, in okx/main BTC-USDT: the trend",
    ),
    "held without a strategy": (
        examples.legacy_position_changed(1, "-100"),
        PAGE,
        "deribit/main BTC-PERPETUAL: -100 is held that no strategy has opened; nothing protects it",
    ),
    "held no more": (
        examples.legacy_position_changed(1, "0"),
        LOOK,
        "deribit/main BTC-PERPETUAL: nothing is held any more without a strategy",
    ),
    "adopted": (
        examples.position_adopted(1),
        LOOK,
        "deribit/main BTC-PERPETUAL: 100 adopted by ann, stop at 59000: it is ours",
    ),
    "refused": (
        examples.submitted(1, risk_pb2.SUBMISSION_OUTCOME_REFUSED),
        LOOK,
        "approved orders refused: lc-1, lc-2: LIMIT_EXCEEDED 20 open orders",
    ),
    "unknown order": (
        examples.order_changed(1, orders_pb2.ORDER_STATE_UNKNOWN),
        LOOK,
        "okx/main BTC-USDT: the outcome of order 0af1 is not known: no answer within 10 s",
    ),
    "liquidated": (
        examples.cash_moved(1, cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION),
        PAGE,
        "bybit/main BTCUSDT: liquidation, -12.5 USDT: ",
    ),
    "not booked": (
        examples.postings_refused(1),
        LOOK,
        "the ledger has not booked ev-1: INVALID: no side",
    ),
    "signed for the day": (
        examples.checkpoint_signed(1, first_of_day=True),
        LOOK,
        KEPT,
    ),
    "signed on request": (
        examples.checkpoint_signed(1, requested=True),
        LOOK,
        KEPT,
    ),
}
NOT_TOLD = {
    "signed": examples.checkpoint_signed(1),
    "confirmed": examples.proposal_changed(1, risk_pb2.PROPOSAL_STATE_CONFIRMED),
    "fill": filled(1),
    "taken": examples.submitted(1, risk_pb2.SUBMISSION_OUTCOME_TAKEN),
    "open order": examples.order_changed(1, orders_pb2.ORDER_STATE_OPEN),
    "funding": examples.cash_moved(1, cash_flows_pb2.CASH_FLOW_KIND_FUNDING),
    "of a later version": event_pb2.Event(event_id=b"1"),
}


@pytest.mark.parametrize("name", TOLD)
def test_it_is_a_notice(name):
    event, level, text = TOLD[name]
    notice = notice_of(event)
    assert notice is not None
    assert (notice.level, notice.text.strip(), notice.event_id) == (
        level,
        text.strip(),
        event.event_id,
    )


@pytest.mark.parametrize("name", NOT_TOLD)
def test_it_is_no_notice(name):
    assert notice_of(NOT_TOLD[name]) is None


def test_a_rule_is_named_where_no_person_has_changed_a_mode():
    event = examples.mode_changed(1, caller="")
    event.mode_changed.rule = "loss_per_day_max"
    notice = notice_of(event)
    assert notice is not None
    assert "by rule loss_per_day_max" in notice.text


def test_text_of_others_is_one_bounded_line():
    notice = notice_of(examples.mode_changed(1, reason="a\nPAGE: b\x1b[2J" + "x" * 10_000))
    assert notice is not None
    assert notice.text.isprintable()
    assert len(notice.text) <= TEXT_LENGTH_MAX + 1
