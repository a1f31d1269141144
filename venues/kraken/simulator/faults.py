"""Faults of Kraken alone.

bad_checksum    the checksum of a book frame is wrong
"""

import re
from collections.abc import Sequence

from kit.simulator.dialect import Frame

CHECKSUM = re.compile(rb'"checksum":([0-9]+)')


def with_bad_checksum(frame: Frame) -> Sequence[Frame]:
    """The frame with another checksum than its book's."""
    stream, payload = frame
    wrong = CHECKSUM.sub(lambda found: b'"checksum":%d' % (int(found.group(1)) ^ 1), payload)
    return [(stream, wrong)]
