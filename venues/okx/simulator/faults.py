"""Faults of OKX alone. Each returns what is sent in place of a frame.

empty_update        the frame, then an empty update of the book: its seqId is its prevSeqId
sequence_restart    the frame, then an empty update, after which the ids start again
checksum_zero       the frame with the checksum 0, as it has been at OKX since June 2026
checksum_wrong      the frame with the checksum of another book
service_upgrade     the notice 64008, then the frame; the connection is closed half a minute later
error_without_id    an error event that answers no request, then the frame
"""

import re
from collections.abc import Mapping, Sequence

from kit.simulator.dialect import Channel, Frame, FrameFault
from venues.okx.simulator.encode import OkxEncoder
from venues.okx.simulator.streams import argument

CONNECTION = "a4d3ae55"
"""The id of every connection."""
SERVICE_UPGRADE = (
    b'{"event":"notice","msg":"The connection will soon be closed for a service upgrade. Please '
    b'reconnect.","code":"64008","connId":"a4d3ae55"}'
)
ERROR = (
    b'{"event":"error","msg":"Wrong URL or channel:nothing,instId:NOTHING doesn\'t exist. Please '
    b'use the correct URL, channel and parameters referring to API document.","code":"60018",'
    b'"connId":"a4d3ae55"}'
)
CHECKSUM = re.compile(rb'"checksum":(-?[0-9]+)')
SEQUENCE = re.compile(rb'"seqId":([0-9]+)')
TIME = re.compile(rb'"ts":"([0-9]+)"')


def faults(encoder: OkxEncoder) -> Mapping[str, FrameFault]:
    """The faults by name. ``encoder`` has the simulated books."""

    def restart(frame: Frame) -> Sequence[Frame]:
        update = encoder.restart(frame[0])
        return [frame] if update is None else [frame, (frame[0], update)]

    return {
        "empty_update": _empty_update,
        "sequence_restart": restart,
        "checksum_zero": _checksum_zero,
        "checksum_wrong": _checksum_wrong,
        "service_upgrade": lambda frame: [(frame[0], SERVICE_UPGRADE), frame],
        "error_without_id": lambda frame: [(frame[0], ERROR), frame],
    }


def _empty_update(frame: Frame) -> Sequence[Frame]:
    stream, payload = frame
    sequence, time = SEQUENCE.search(payload), TIME.search(payload)
    if stream.channel is not Channel.BOOK or sequence is None or time is None:
        return [frame]
    checksum = CHECKSUM.search(payload)
    empty = (
        b'{"arg":%b,"action":"update","data":[{"asks":[],"bids":[],"ts":"%b","checksum":%b,'
        b'"prevSeqId":%b,"seqId":%b}]}'
    ) % (
        argument(stream),
        time.group(1),
        checksum.group(1) if checksum else b"0",
        sequence.group(1),
        sequence.group(1),
    )
    return [frame, (stream, empty)]


def _checksum_zero(frame: Frame) -> Sequence[Frame]:
    return [(frame[0], CHECKSUM.sub(b'"checksum":0', frame[1]))]


def _checksum_wrong(frame: Frame) -> Sequence[Frame]:
    def other(found: re.Match[bytes]) -> bytes:
        return b'"checksum":%d' % (int(found.group(1)) ^ 1 or 2)

    return [(frame[0], CHECKSUM.sub(other, frame[1]))]
