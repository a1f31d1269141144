"""What goes wrong at Bybit and nowhere else. Each makes of a frame what is sent in its place.

update_id_skip    a change of a book never comes, so the update ids skip one
service_restart   the whole book in place of a change or a quote; its update ids begin anew
same_update_id    a best quote is told again, with the same update id
"""

from collections.abc import Mapping, Sequence

from kit.simulator.dialect import Channel, Frame
from kit.simulator.exchange.dialect import FrameFault
from venues.bybit.simulator.encode import BybitEncoder


def faults(encoder: BybitEncoder) -> Mapping[str, FrameFault]:
    """By name. ``encoder`` knows the books that are simulated; a captured one is not made anew."""

    def service_restart(frame: Frame) -> Sequence[Frame]:
        book = encoder.restart(frame[0])
        return [frame] if book is None else [(frame[0], book)]

    return {
        "update_id_skip": update_id_skip,
        "service_restart": service_restart,
        "same_update_id": same_update_id,
    }


def update_id_skip(frame: Frame) -> Sequence[Frame]:
    """Nothing."""
    return [] if frame[0].channel is Channel.BOOK else [frame]


def same_update_id(frame: Frame) -> Sequence[Frame]:
    """The frame twice."""
    return [frame, frame] if frame[0].channel is Channel.QUOTES else [frame]
