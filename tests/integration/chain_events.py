"""A whole chain of events, from a signal to a fill, as the processes of a mesh would store it."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import (
    checks_pb2,
    decisions_pb2,
    event_pb2,
    executions_pb2,
    risk_pb2,
    signals_pb2,
)
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.database import Database
from kit.events import event_log
from kit.events.event_ids import event_id

STRATEGY, ACCOUNT = "ema_cross", "example"
MS = 1_000_000
_INSTRUMENT = {"venue": "binance", "account": ACCOUNT, "symbol": "BTCUSDT"}
_BUY, _SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL


def chain_events(start_ns: int) -> list[event_pb2.Event]:
    """The events of one lifecycle, each later than the one before."""
    lifecycle = event_id("detector", STRATEGY, [str(start_ns).encode()])
    events: list[event_pb2.Event] = []

    def add(source: str, after_ms: int, cause: int | None, **payload: object) -> None:
        """``cause``: the place of the event that it follows from."""
        own_id = event_id(source, "", [lifecycle], len(events)) if events else lifecycle
        events.append(
            event_pb2.Event(
                event_id=own_id,
                source=source,
                instance=STRATEGY if source == "detector" else "",
                time_ns=start_ns + after_ms * MS,
                lifecycle_id=lifecycle,
                cause_ids=[] if cause is None else [events[cause].event_id],
                **payload,  # type: ignore[arg-type]
            )
        )

    orders = _orders(lifecycle, start_ns)
    add("detector", 0, None, signal_raised=_signal(start_ns))
    add("advisor", 3, 0, decision_made=_decision(start_ns))
    add("inspector", 6, 1, verdict_given=_verdict(orders, start_ns))
    add("inspector", 9, 2, orders_submitted=_submitted(orders))
    entry, stop, target = orders
    for after_ms, order, state, filled in (
        (14, entry, orders_pb2.ORDER_STATE_SENT, "0"),
        (22, entry, orders_pb2.ORDER_STATE_PARTLY_FILLED, "0.008"),
        (31, entry, orders_pb2.ORDER_STATE_FILLED, "0.0125"),
        (32, stop, orders_pb2.ORDER_STATE_OPEN, "0"),
        (33, target, orders_pb2.ORDER_STATE_OPEN, "0"),
    ):
        changed = orders_pb2.Order()
        changed.CopyFrom(order)
        changed.state, changed.filled_size = state, filled
        changed.updated_time_ns = start_ns + after_ms * MS
        add("ledger", after_ms, None, order_changed=executions_pb2.OrderChanged(order=changed))
    for after_ms, number, size, price in ((21, 1, "0.008", "61240.5"), (30, 2, "0.0045", "61241")):
        add("ledger", after_ms, None, order_filled=_fill(entry, number, size, price, start_ns))
    changed_mode = risk_pb2.ModeChanged(
        scope=f"strategy:{STRATEGY}",
        before=risk_pb2.TRADING_MODE_ACTIVE,
        after=risk_pb2.TRADING_MODE_THROTTLED,
        rule="order_rate_max",
        reason="3 entries in 60 s",
    )
    add("inspector", 40, 2, mode_changed=changed_mode)
    return events


def store_events(database_url: str, events: Sequence[event_pb2.Event]) -> None:
    """Store events where no service reads them, as their processes would: one after the other."""

    async def append() -> None:
        database = Database(database_url)
        for event in events:
            stored_ns = event.time_ns + 2 * MS
            async with database.transaction() as connection:
                stream = event_pb2.EVENT_STREAM_SYSTEM
                await event_log.append(connection, stream, [event], stored_ns)
        await database.close()

    # The browser of a test has a loop in its thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, append()).result()


def _signal(start_ns: int) -> signals_pb2.SignalRaised:
    value, score = signals_pb2.FeatureValue, signals_pb2.RuleScore
    return signals_pb2.SignalRaised(
        strategy=STRATEGY,
        strategy_version="5f2c" * 16,
        **_INSTRUMENT,
        action=signals_pb2.POSITION_ACTION_OPEN,
        side=_BUY,
        conviction=0.71,
        score=0.58,
        rules=[
            score(
                rule="trend",
                weight=2,
                score=0.9,
                values=[
                    value(expression="ema(close, 12)", value=61231.4),
                    value(expression="ema(close, 26)", value=61198.7),
                ],
            ),
            score(
                rule="momentum",
                weight=1,
                score=-0.2,
                values=[value(expression="rsi(close, 14)", value=63.2)],
            ),
            score(rule="funding", weight=0.5, values=[value(expression="funding_rate")]),
            score(
                rule="spread",
                weight=0,
                score=0,
                is_veto=True,
                values=[value(expression="spread_bps < 3", value=1)],
            ),
        ],
        regime="rising",
        expires_time_ns=start_ns + 60_000 * MS,
        bar=bars_pb2.Bar(
            venue="binance",
            symbol="BTCUSDT",
            interval="1m",
            open_time_ns=start_ns - 60_000 * MS,
            open="61198.2",
            high="61244.9",
            low="61190.01",
            close="61240.5",
            volume="38.412",
            final=True,
        ),
        request=signals_pb2.PositionRequest(
            notional="800", risk_fraction="0.005", stop_distance="420", target_distance="900"
        ),
    )


def _check(name: str, observed: str, limit: str, unit: str, **more: object) -> checks_pb2.Check:
    passed = {"result": checks_pb2.CHECK_RESULT_PASSED}
    return checks_pb2.Check(name=name, observed=observed, limit=limit, unit=unit, **(passed | more))


def _decision(start_ns: int) -> decisions_pb2.DecisionMade:
    report, stages = decisions_pb2.StageReport, decisions_pb2
    no_model = "no model is configured"
    return decisions_pb2.DecisionMade(
        outcome=decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED,
        intent=decisions_pb2.ExecutionIntent(
            strategy=STRATEGY,
            **_INSTRUMENT,
            action=signals_pb2.POSITION_ACTION_OPEN,
            side=_BUY,
            type=orders_pb2.ORDER_TYPE_MARKET,
            size="0.0125",
            stop_price="60820.5",
            target_price="62140.5",
            reference_price="61240.5",
            expires_time_ns=start_ns + 60_000 * MS,
            conviction=0.66,
            reasons=["trend agrees", "spread is narrow"],
        ),
        stages=[
            report(stage=stages.DECISION_STAGE_CONTEXT),
            report(
                stage=stages.DECISION_STAGE_QUALITY,
                checks=[
                    _check("coverage_min", "1", "0.99", "ratio"),
                    _check("quote_age_max", "38", "2000", "ms"),
                ],
            ),
            report(
                stage=stages.DECISION_STAGE_SCORE,
                checks=[_check("score_min", "0.61", "0.35", "score")],
            ),
            report(
                stage=stages.DECISION_STAGE_CONVICTION,
                checks=[_check("conviction_min", "0.66", "0.5", "ratio")],
            ),
            report(stage=stages.DECISION_STAGE_CALIBRATION, skipped_reason=no_model),
            report(stage=stages.DECISION_STAGE_SYNTHESIS, skipped_reason=no_model),
            report(
                stage=stages.DECISION_STAGE_VALIDATION,
                checks=[
                    _check("spread_max", "0.0016", "0.4", "%"),
                    _check("reward_risk_min", "2.14", "1.2", "ratio"),
                ],
            ),
            report(stage=stages.DECISION_STAGE_INTENT),
        ],
        facts=[
            decisions_pb2.Fact(
                fact_id="quote.ask_price", value="61240.5", unit="USDT", time_ns=start_ns - 38 * MS
            ),
            decisions_pb2.Fact(
                fact_id="quote.bid_price", value="61239.52", unit="USDT", time_ns=start_ns - 38 * MS
            ),
            decisions_pb2.Fact(fact_id="equity", value="10000", unit="USDT", time_ns=start_ns),
        ],
    )


def _verdict(orders: Sequence[orders_pb2.Order], start_ns: int) -> risk_pb2.VerdictGiven:
    noted = {"result": checks_pb2.CHECK_RESULT_NOTED}
    return risk_pb2.VerdictGiven(
        verdict=risk_pb2.VERDICT_ALLOW,
        checks=[
            _check("expiry", str(start_ns), str(start_ns + 60_000 * MS), "ns"),
            _check("order_notional_max", "765.50625", "1000", "USDT"),
            _check("price_collar", "0", "0.5", "%"),
            _check("position_notional_max", "0", "5000", "USDT", projected="765.50625"),
            _check("daily_loss_max", "", "200", "USDT", detail="no fill today", **noted),
            _check("order_rate_max", "1", "10", "orders in 60 s", projected="2"),
        ],
        policy_version="9ab1" * 16,
        mode=risk_pb2.TRADING_MODE_ACTIVE,
        orders=[
            signed_pb2.ApprovedOrder(
                content=order.content,
                request_id=order.request_id,
                expires_time_ns=start_ns + 10_000 * MS,
                fencing_epoch=7,
                key_id="inspector-1",
                operation=signed_pb2.OPERATION_PLACE,
            )
            for order in orders
        ],
    )


def _submitted(orders: Sequence[orders_pb2.Order]) -> risk_pb2.OrdersSubmitted:
    return risk_pb2.OrdersSubmitted(
        outcome=risk_pb2.SUBMISSION_OUTCOME_TAKEN,
        request_ids=[order.request_id for order in orders],
        orders=orders,
    )


def _orders(lifecycle: bytes, start_ns: int) -> list[orders_pb2.Order]:
    """An entry with a stop and a take-profit."""
    contents = [
        {"side": _BUY, "type": orders_pb2.ORDER_TYPE_MARKET},
        {"side": _SELL, "type": orders_pb2.ORDER_TYPE_STOP, "stop_price": "60820.5"},
        {"side": _SELL, "type": orders_pb2.ORDER_TYPE_TAKE_PROFIT, "stop_price": "62140.5"},
    ]
    return [
        orders_pb2.Order(
            content=orders_pb2.OrderContent(**_INSTRUMENT, size="0.0125", **content),
            request_id=f"lc-{lifecycle.hex()}-{number}",
            client_order_id=event_id("order", "", [lifecycle], number).hex(),
            size_unit="BTC",
            created_time_ns=start_ns + 10 * MS,
        )
        for number, content in enumerate(contents, 1)
    ]


def _fill(
    order: orders_pb2.Order, number: int, size: str, price: str, start_ns: int
) -> executions_pb2.OrderFilled:
    fill = orders_pb2.Fill(
        **_INSTRUMENT,
        fill_id=f"{start_ns // MS % 10**9}{number}",
        client_order_id=order.client_order_id,
        side=_BUY,
        price=price,
        size=size,
        size_unit="BTC",
        fee=orders_pb2.Fee(asset="USDT", amount="0.48"),
        liquidity=orders_pb2.LIQUIDITY_TAKER,
        venue_time_ns=start_ns + (20 + number) * MS,
    )
    return executions_pb2.OrderFilled(fill=fill, request_id=order.request_id, strategy=STRATEGY)
