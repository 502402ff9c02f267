"""A relay in front of a server that loses a connection right after a commit, before the client hears of it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path


class LossyServer:
    """Listens in ``folder`` under the name that libpq looks for, and passes everything on to ``target``."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.target = target
        self.losses = 0
        """Commits whose answer was lost."""
        self._loses_next = False
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / target.name))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_the_next_commit(self) -> None:
        """Once."""
        self._loses_next = True

    def close(self) -> None:
        """Take no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.target))
                lost = threading.Event()
                threading.Thread(target=self._to_server, args=(client, server, lost), daemon=True).start()
                threading.Thread(target=self._to_client, args=(server, client, lost), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError), client, server:
            while said := client.recv(65536):
                if self._loses_next and b"COMMIT" in said:
                    self._loses_next = False
                    lost.set()
                server.sendall(said)
            server.shutdown(socket.SHUT_RDWR)

    def _to_client(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while (answer := server.recv(65536)) and not lost.is_set():
                client.sendall(answer)
            self.losses += lost.is_set()
            client.shutdown(socket.SHUT_RDWR)
