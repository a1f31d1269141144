"""Times as people write them."""

from datetime import UTC, datetime

from kit.base.clock import NANOSECONDS_PER_MICROSECOND, NANOSECONDS_PER_SECOND

SECONDS_PER_DAY = 86_400
ALLOWED = "allowed are ns since 1970, or a time as 2024-08-08T12:00:00Z"


def parse_time(text: str) -> int:
    """ns since the Unix epoch, UTC where no zone is named. Raises ValueError."""
    if text.isdecimal():
        return int(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    seconds = since.days * SECONDS_PER_DAY + since.seconds
    return seconds * NANOSECONDS_PER_SECOND + since.microseconds * NANOSECONDS_PER_MICROSECOND
