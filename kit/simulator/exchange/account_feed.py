"""What happens to an account, reported to one connection."""

from collections.abc import Callable, Iterable

from kit.simulator.dialect import Frame, WebsocketSession
from kit.simulator.matching.contract import AccountEvent, MatchingEngine


def report_account(
    session: WebsocketSession,
    engine: MatchingEngine,
    account: str,
    frames_of: Callable[[AccountEvent], Iterable[Frame]],
) -> None:
    """Send the frames of each event, in order, at once, until the connection closes.

    ``frames_of`` is called once for each event and connection, so it may count messages; it leaves
    out the streams that the session is not subscribed to.
    """

    def report(event: AccountEvent) -> None:
        for stream, payload in frames_of(event):
            session.report(stream, payload)

    session.when_closed.append(engine.listen(account, report))
