"""Calls to the venue with a deadline, and with every failure turned into one of two forms."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from kit.base import telemetry
from kit.base.errors import CredentialsRejected, NotSupported, VenuemeshError, VenueUnavailable
from kit.execution.contract import OutcomeUnknown, Verdict

Answer = TypeVar("Answer")

_log = telemetry.logger("orders.venue_calls")


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


async def answer_of(call: Awaitable[Answer], timeout_s: float) -> Answer:
    """Return the answer to a query. Raises CredentialsRejected and NotSupported unchanged, and
    VenueUnavailable for every other failure."""
    try:
        async with asyncio.timeout(timeout_s):
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
    raise VenueUnavailable(detail, detail=detail)
