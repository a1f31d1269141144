"""Faults of Bybit alone. Each returns what is sent in place of a frame.

update_id_skip    a change of a book is lost, so the update ids skip one
service_restart   the whole book in place of a change or a quote; its update ids start again
same_update_id    a best quote is sent again, with the same update id
"""

from collections.abc import Mapping, Sequence

from kit.simulator.dialect import Channel, Frame, FrameFault
from venues.bybit.simulator.encode import BybitEncoder


def faults(encoder: BybitEncoder) -> Mapping[str, FrameFault]:
    """The faults by name. ``encoder`` has the simulated books; a captured book is left as it is."""

    def service_restart(frame: Frame) -> Sequence[Frame]:
        book = encoder.restart(frame[0])
        return [frame] if book is None else [(frame[0], book)]

    return {
        "update_id_skip": update_id_skip,
        "service_restart": service_restart,
        "same_update_id": same_update_id,
    }


def update_id_skip(frame: Frame) -> Sequence[Frame]:
    """No frame for a change of a book."""
    return [] if frame[0].channel is Channel.BOOK else [frame]


def same_update_id(frame: Frame) -> Sequence[Frame]:
    return [frame, frame] if frame[0].channel is Channel.QUOTES else [frame]
