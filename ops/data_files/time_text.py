"""Times as people write them on the command line."""

from datetime import UTC, datetime

from kit.base.clock import NANOSECONDS_PER_MICROSECOND
from ops.errors import OperationsError


def parse_time(text: str) -> int:
    """ns since the Unix epoch, from ISO 8601 (UTC where it does not say) or from that number."""
    if text.isdecimal() and len(text) > len("20260101"):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OperationsError(
            f"not a time: {text!r}; write 2026-01-31, 2026-01-31T12:00:00Z or ns"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return microseconds * NANOSECONDS_PER_MICROSECOND
