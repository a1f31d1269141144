"""Calls to the venue with a deadline, and with every failure turned into one of two forms.

The deadline of a question is one for each answer of the venue: a question that takes several pages
may take as long as they come.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from kit.base import telemetry
from kit.base.errors import CredentialsRejected, NotSupported, VenuemeshError, VenueUnavailable
from kit.execution.contract import OutcomeUnknown, Verdict

Answer = TypeVar("Answer")

_log = telemetry.logger("orders.venue_calls")


@dataclass(slots=True)
class _Deadline:
    """The deadline of a question."""

    timeout: asyncio.Timeout
    seconds: float
    is_over: bool = False


_deadline: ContextVar[_Deadline | None] = ContextVar("deadline", default=None)
"""Of the question that is asked: the code that reads a page is far from the one that waits for the
whole answer."""


async def verdict_of(call: Awaitable[Verdict], timeout_s: float) -> Verdict:
    """Return the verdict on an action. Any failure is OutcomeUnknown: the action may be done."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call
    except TimeoutError:
        return OutcomeUnknown(f"no answer in {timeout_s:g} s")
    except VenuemeshError as error:
        return OutcomeUnknown(error.message)
    except Exception as error:
        _log.exception("execution client failed")
        return OutcomeUnknown(f"{type(error).__name__}: {error}")


async def verdicts_of(
    call: Awaitable[Sequence[Verdict]], count: int, timeout_s: float
) -> Sequence[Verdict]:
    """Return the verdicts on ``count`` orders of one action. Any failure is OutcomeUnknown for
    each."""
    found: Sequence[Verdict] = ()

    async def gathered() -> Verdict:
        nonlocal found
        found = await call
        return OutcomeUnknown(f"the call has {len(found)} verdicts on {count} orders")

    failure = await verdict_of(gathered(), timeout_s)
    return found if len(found) == count else [failure] * count


async def answer_of(call: Awaitable[Answer], timeout_s: float) -> Answer:
    """Return the answer to a query. Raises CredentialsRejected and NotSupported unchanged, and
    VenueUnavailable for every other failure. ``timeout_s``: for each answer of the venue."""
    deadline = _Deadline(asyncio.timeout(timeout_s), timeout_s)
    before = _deadline.set(deadline)
    try:
        async with deadline.timeout:
            return await call
    except (CredentialsRejected, NotSupported):
        raise
    except TimeoutError:
        detail = f"no answer in {timeout_s:g} s"
    except VenuemeshError as error:
        detail = error.message
    except Exception as error:
        _log.exception("execution client failed")
        detail = f"{type(error).__name__}: {error}"
    finally:
        deadline.is_over = True
        _deadline.reset(before)
    raise VenueUnavailable(detail, detail=detail)


async def pages_of(pages: AsyncIterator[Answer], timeout_s: float) -> AsyncGenerator[Answer, None]:
    """Yield the pages of an answer, each by its own deadline. Raises as ``answer_of``."""
    while (page := await answer_of(anext(pages, None), timeout_s)) is not None:
        yield page


def answered() -> None:
    """Begin the deadline of the question that is asked anew: the venue has answered."""
    deadline = _deadline.get()
    # A task that outlives the question that started it still sees its deadline.
    if deadline is not None and not deadline.is_over and not deadline.timeout.expired():
        deadline.timeout.reschedule(asyncio.get_running_loop().time() + deadline.seconds)
