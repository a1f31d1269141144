"""Each channel gets every notice, whatever is away or killed."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from venuemesh.events.v1 import event_pb2, risk_pb2

from core.notifier.channels import NotSent
from core.notifier.delivery import Delivery, DeliveryTerms
from core.notifier.metrics import NotifierMetrics
from core.notifier.notices import NoticeLevel
from core.notifier.tests import examples
from kit.base.clock import SystemClock
from kit.base.telemetry import Meter
from kit.events import event_log
from kit.events.tests.rig import filled, rig_for
from tests.support.waiting import eventually

RISK = event_pb2.EVENT_STREAM_RISK
SYSTEM = event_pb2.EVENT_STREAM_SYSTEM
EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
TERMS = DeliveryTerms(NoticeLevel.LOOK, interval_s=0, age_max_s=10**12)


class Chat:
    """A channel that can be away."""

    name = "chat"

    def __init__(self) -> None:
        self.is_away = False
        self.tries = 0
        self.messages = []

    async def send(self, notices, passed_over):
        self.tries += 1
        if self.is_away:
            raise NotSent("HTTP status 503")
        self.messages.append(([notice.time_ns for notice in notices], passed_over))

    @property
    def sent(self):
        """Each once: one that is cut off before it has stored its position tells it again."""
        return list(dict.fromkeys(number for numbers, _ in self.messages for number in numbers))


class HurryingClock(SystemClock):
    """A retry does not wait."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


@asynccontextmanager
async def delivering(rig, chat, terms=TERMS):
    metrics = NotifierMetrics(Meter("test"))
    delivery = Delivery(chat, terms, metrics, rig.reasons, HurryingClock())
    task = asyncio.create_task(delivery.run(rig.database, rig.reader()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def when_it_has_begun(rig):
    async def has_begun():
        async with rig.database.transaction() as connection:
            return bool(await event_log.load_positions(connection, "notifier/chat"))

    await eventually(has_begun)


async def check_sent(chat, *numbers):
    async def is_sent():
        return chat.sent == list(numbers)

    await eventually(is_sent)


async def test_it_begins_with_what_is_new_and_goes_on_after_a_restart(rig):
    await rig.append(examples.mode_changed(1), stream=RISK)
    chat = Chat()
    async with delivering(rig, chat):
        await when_it_has_begun(rig)
        await rig.append(examples.mode_changed(2), stream=RISK)
        await check_sent(chat, 2)
    await rig.append(examples.mode_changed(3), stream=RISK)
    async with delivering(rig, chat):
        await check_sent(chat, 2, 3)


async def test_what_comes_while_a_channel_is_away_is_one_message_later(rig):
    chat = Chat()
    async with delivering(rig, chat):
        await when_it_has_begun(rig)
        chat.is_away = True
        await rig.append(examples.mode_changed(1), stream=RISK)

        async def is_tried():
            return chat.tries >= 3

        await eventually(is_tried)
        assert "503" in rig.meter.status().detail
        await rig.append(examples.mode_changed(2), examples.mode_changed(3), stream=RISK)
        chat.is_away = False
        await check_sent(chat, 1, 2, 3)
        assert len(chat.messages) == 2
        assert rig.meter.status().detail == ""


async def test_a_level_is_the_least_that_is_sent(rig):
    chat = Chat()
    async with delivering(rig, chat, DeliveryTerms(NoticeLevel.PAGE, 0, 10**12)):
        await when_it_has_begun(rig)
        released = examples.mode_changed(1, risk_pb2.TRADING_MODE_ACTIVE)
        await rig.append(released, examples.mode_changed(2), stream=RISK)
        await check_sent(chat, 2)


async def test_old_notices_are_counted(rig):
    chat = Chat()
    # The events of the rig are stored in the past.
    async with delivering(rig, chat, DeliveryTerms(NoticeLevel.LOOK, 0, 60)):
        await when_it_has_begun(rig)
        await rig.append(examples.mode_changed(1), examples.mode_changed(2), stream=RISK)

        async def is_counted():
            return bool(chat.messages)

        await eventually(is_counted)
    assert chat.messages == [([], 2)]


async def test_a_checkpoint_is_sent_whatever_its_level_and_age_are(rig):
    chat = Chat()
    terms = DeliveryTerms(NoticeLevel.PAGE, 0, 1e-9)
    async with delivering(rig, chat, terms):
        await when_it_has_begun(rig)
        await rig.append(examples.mode_changed(1), stream=RISK)
        signed = [examples.checkpoint_signed(2), examples.checkpoint_signed(3, requested=True)]
        await rig.append(*signed, stream=SYSTEM)
        await check_sent(chat, 3)


async def test_events_that_have_no_notice_are_passed_over(rig):
    chat = Chat()
    async with delivering(rig, chat):
        await when_it_has_begun(rig)
        await rig.append(filled(1), stream=EXECUTIONS)
        await rig.append(examples.mode_changed(2), stream=RISK)
        await check_sent(chat, 2)
        assert chat.tries == 1
