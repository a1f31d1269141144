"""Delays between retries."""

import random
from collections.abc import Iterator


def delays(
    first_seconds: float = 0.1,
    most_seconds: float = 10.0,
    jitter: random.Random | None = None,
) -> Iterator[float]:
    """Endless waiting times that double up to a bound, each between half of it and all of it.

    Without jitter, a thousand clients that lost the same server would come back as one.
    """
    source = jitter or random.Random()
    bound = first_seconds
    while True:
        yield bound * source.uniform(0.5, 1.0)
        bound = min(bound * 2, most_seconds)
