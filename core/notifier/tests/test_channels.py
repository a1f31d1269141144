"""What a webhook and a chat are sent, and what they answer."""

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from core.notifier.channels import (
    TELEGRAM_LENGTH_MAX,
    NotSent,
    TelegramChannel,
    WebhookChannel,
    message_of,
)
from core.notifier.notices import Notice, NoticeLevel, notice_of
from core.notifier.tests import examples

NOTICE = notice_of(examples.mode_changed(1))
TOKEN = "123:secret"


class Receiver:
    """Answers as set, and keeps what it got."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.got: list[tuple[str, str, dict[str, object]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "")
        self.got.append((request.path, shown, json.loads(await request.text())))
        text = f"answer to {request.path}"
        return web.Response(status=self.status, headers=self.headers, text=text)


@pytest.fixture
async def receiver():
    found = Receiver()
    application = web.Application()
    application.router.add_post("/{path:.*}", found.answer)
    async with TestServer(application) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    return str(file)


async def test_a_webhook_gets_the_notices(receiver, token_file):
    channel = WebhookChannel(f"{receiver.url}/hook", token_file, "mesh-1")
    await channel.send([NOTICE], 2)
    await channel.send([NOTICE], 2)
    (path, shown, body), again = receiver.got
    assert (path, shown) == ("/hook", f"Bearer {TOKEN}")
    assert body["notices"] == [
        {
            "level": "page",
            "text": NOTICE.text,
            "event_id": NOTICE.event_id.hex(),
            "time_ns": NOTICE.time_ns,
        }
    ]
    assert (body["mesh"], body["passed_over"]) == ("mesh-1", 2)
    assert again[2]["id"] == body["id"]


async def test_a_chat_gets_one_message(receiver, token_file):
    await TelegramChannel(receiver.url, token_file, "-100", "mesh-1").send([NOTICE], 0)
    ((path, _, body),) = receiver.got
    assert path == f"/bot{TOKEN}/sendMessage"
    assert body == {"chat_id": "-100", "text": f"Venuemesh mesh-1\nPAGE: {NOTICE.text}"}


async def test_an_error_says_when_to_try_again_and_hides_the_token(receiver, token_file):
    receiver.status, receiver.headers = 429, {"Retry-After": "17"}
    with pytest.raises(NotSent) as caught:
        await TelegramChannel(receiver.url, token_file, "-100", "mesh-1").send([NOTICE], 0)
    assert caught.value.retry_after_s == 17
    assert "429" in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("file", ["missing", "empty"])
async def test_a_token_that_cannot_be_read_is_an_error_with_the_file(receiver, tmp_path, file):
    (tmp_path / "empty").touch()
    channel = WebhookChannel(receiver.url, str(tmp_path / file), "mesh-1")
    with pytest.raises(NotSent, match=file):
        await channel.send([NOTICE], 0)
    assert receiver.got == []


async def test_a_receiver_that_is_away_is_an_error(token_file):
    with pytest.raises(NotSent, match="Cannot connect"):
        await WebhookChannel("http://127.0.0.1:9/hook", "", "mesh-1").send([NOTICE], 0)


def test_a_long_message_keeps_the_pages():
    looks = [Notice(NoticeLevel.LOOK, f"{number}" * 200, b"", 0) for number in range(100)]
    page = Notice(NoticeLevel.PAGE, "halted", b"", 0)
    text = message_of([*looks, page], 3, "mesh-1")
    assert len(text) <= TELEGRAM_LENGTH_MAX
    assert "PAGE: halted" in text
    sent = sum(line.startswith(("LOOK", "PAGE")) for line in text.splitlines())
    assert f"and {101 - sent} more" in text
    assert "3 older ones" in text
