"""The answer of a server of models to a request: what was said, or why nothing was."""

from enum import Enum
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

STOPPED_AT_LENGTH = "length"
FILTERED = "content_filter"
TOKENS_MAX = 10**9
"""A server that counts more tells nonsense."""


class ModelFault(Enum):
    """Why a request has no answer that could be read."""

    TIMED_OUT = "timed_out"
    FAILED = "failed"
    """No connection, or another status than 200."""
    TRUNCATED = "truncated"
    """The model had more to say than it was allowed."""
    REFUSED = "refused"
    INVALID = "invalid"
    """Not the message of a chat, or the call of a tool: none is offered."""


class ChatFailed(Exception):
    """A request without an answer."""

    def __init__(self, fault: ModelFault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


class Completion(NamedTuple):
    """What a model said, and what it cost. The text is checked by nobody yet."""

    text: bytes
    model: str
    """As the server names it."""
    prompt_tokens: int
    completion_tokens: int


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


Count = Annotated[int, Meta(ge=0, le=TOKENS_MAX)]


class _Usage(msgspec.Struct):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class _Body(msgspec.Struct):
    choices: list[_Choice]
    model: str = ""
    usage: _Usage | None = None


def read(body: bytes) -> Completion:
    """The completion in the body of a response. Raises ChatFailed."""
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ChatFailed(ModelFault.INVALID, f"not a chat completion: {error}"[:200]) from None
    if len(found.choices) != 1:
        raise ChatFailed(ModelFault.INVALID, f"{len(found.choices)} choices, not 1")
    (choice,) = found.choices
    message = choice.message
    if choice.finish_reason == STOPPED_AT_LENGTH:
        raise ChatFailed(ModelFault.TRUNCATED, "the most tokens of an answer were reached")
    if message.refusal or choice.finish_reason == FILTERED:
        detail = message.refusal or "the server has filtered the answer"
        raise ChatFailed(ModelFault.REFUSED, detail[:200])
    if message.tool_calls:
        raise ChatFailed(ModelFault.INVALID, "it calls a tool, and none is offered")
    if not message.content:
        raise ChatFailed(ModelFault.INVALID, "the answer is empty")
    usage = found.usage or _Usage()
    return Completion(
        message.content.encode(errors="replace"),
        found.model[:100],
        usage.prompt_tokens,
        usage.completion_tokens,
    )
