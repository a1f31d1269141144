"""An address that leads to one server or another, as a name or a virtual IP address does."""

import socket
import threading
from contextlib import suppress

BUFFER_BYTES = 65_536


class Forwarder:
    """Passes connections on to a port of the loopback, which may change."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, target_port: int) -> None:
        """Forward to another port from now on; existing connections are closed."""
        self._target_port = target_port
        self._hang_up()

    def close(self) -> None:
        """Accept nothing more."""
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        while self._open:
            one = self._open.pop()
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target_port))
                except OSError:
                    near.close()
                    continue
                self._open += (near, far)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(BUFFER_BYTES):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
