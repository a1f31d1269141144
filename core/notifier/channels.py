"""Channels of notices: a Telegram chat, a webhook, the log."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import aiohttp

from core.notifier.notices import Notice, NoticeLevel
from kit.base import telemetry
from kit.base.secret_files import read_secret

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024
TELEGRAM_LENGTH_MAX = 4_000
"""A message has at most 4,096 characters: core.telegram.org/bots/api#sendmessage."""
HTTP_OK = range(200, 300)
RETRY_AFTER = "Retry-After"

_log = telemetry.logger("notifier.notices")


class NotSent(Exception):
    """A channel has rejected a message, or has not acknowledged it."""

    def __init__(self, detail: str, retry_after_s: float = 0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class NoticeChannel(Protocol):
    """Takes messages, one at a time."""

    name: str
    """In metrics, reasons and positions."""

    async def send(self, notices: Sequence[Notice], passed_over: int) -> None:
        """Send them as one message; ``passed_over``: how many are too old to be sent. Raises
        NotSent."""


class LogChannel:
    """Writes each notice to the log of the process."""

    name = "log"

    async def send(self, notices: Sequence[Notice], passed_over: int) -> None:
        for notice in notices:
            extra = {"detail": notice.text, "id": notice.event_id.hex()}
            level = logging.ERROR if notice.level == NoticeLevel.PAGE else logging.WARNING
            _log.log(level, "notice", extra=extra)


class WebhookChannel:
    """Posts each message as JSON.

    The body is ``{"id", "mesh", "passed_over", "notices": [{"level", "text", "event_id",
    "time_ns"}]}``. A message that is sent again has the same id.
    """

    name = "webhook"

    def __init__(self, url: str, token_file: str, mesh: str) -> None:
        self._url = url
        self._token_file = token_file
        self._mesh = mesh

    async def send(self, notices: Sequence[Notice], passed_over: int) -> None:
        body = {
            "id": _id_of(notices),
            "mesh": self._mesh,
            "passed_over": passed_over,
            "notices": [
                {
                    "level": notice.level.name.lower(),
                    "text": notice.text,
                    "event_id": notice.event_id.hex(),
                    "time_ns": notice.time_ns,
                }
                for notice in notices
            ],
        }
        headers = {}
        if self._token_file:
            headers["Authorization"] = f"Bearer {_secret(self._token_file)}"
        await _post(self._url, body, headers)


class TelegramChannel:
    """Sends each message to a chat by the Bot API."""

    name = "telegram"

    def __init__(self, url: str, token_file: str, chat: str, mesh: str) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._chat = chat
        self._mesh = mesh

    async def send(self, notices: Sequence[Notice], passed_over: int) -> None:
        body = {"chat_id": self._chat, "text": message_of(notices, passed_over, self._mesh)}
        try:
            await _post(f"{self._url}/bot{_secret(self._token_file)}/sendMessage", body, {})
        except NotSent as error:
            # The token is part of the address, and the address of some errors.
            token = _secret(self._token_file)
            raise NotSent(str(error).replace(token, "…"), error.retry_after_s) from None


def message_of(notices: Sequence[Notice], passed_over: int, mesh: str) -> str:
    """One text of bounded length, in order. Looks are left out before pages, and counted."""
    lines = [f"{notice.level.name}: {notice.text}" for notice in notices]
    in_order = sorted(range(len(lines)), key=lambda at: (-notices[at].level, at))
    length, sent = len(mesh) + 100, set[int]()
    for at in in_order:
        length += len(lines[at]) + 1
        if length > TELEGRAM_LENGTH_MAX:
            break
        sent.add(at)
    text = [f"Venuemesh {mesh}", *(line for at, line in enumerate(lines) if at in sent)]
    if left_out := len(lines) - len(sent):
        text.append(f"and {left_out} more: look at the room Risk of Studio")
    if passed_over:
        text.append(f"{passed_over} older ones were passed over")
    return "\n".join(text)


async def _post(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Raises NotSent."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, json=body, headers=headers, allow_redirects=False) as response,
        ):
            answer = (await response.content.read(ANSWER_BYTES_MAX)).decode(errors="replace")
            if response.status not in HTTP_OK:
                wait_s = _seconds(response.headers.get(RETRY_AFTER, ""))
                raise NotSent(f"HTTP status {response.status}: {answer[:200]}", wait_s)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {error}") from None


def _id_of(notices: Sequence[Notice]) -> str:
    content = b"".join(notice.event_id for notice in notices)
    return hashlib.sha256(content).hexdigest()[:32]


def _secret(file: str) -> str:
    try:
        return read_secret(file)
    except OSError as error:
        raise NotSent(f"the token cannot be read from {file}: {error}") from None


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 0.0
