"""A connection that says nothing is closed, and only so many are kept: silent ones would fill the server.

What is no HTTP never reaches the application; it is answered here, as locked down as everything else.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from healtheat.reviewing.auth import HEADERS

IDLE_S = 15.0  # for the head of a request; the browser connects again when it needs to
MOST = 128  # connections of one server


class Patient(H11Protocol):
    """uvicorn's HTTP, which waits for ever for a first request, with an end to its patience."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let in a connection, for a while."""
        super().connection_made(transport)
        self._late = True  # a first request comes at once
        self._watch = self.loop.call_later(IDLE_S, self._look)
        self._since = self.loop.time()
        kept = [
            one for one in self.connections if isinstance(one, Patient) and not one.transport.is_closing()
        ]
        if len(kept) > MOST:  # who comes now is let in for the one that has waited longest, if any does
            min(kept, key=lambda one: one.how_busy).transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._watch.cancel()
        super().connection_lost(exc)

    @property
    def how_busy(self) -> tuple[bool, bool, float]:
        """Who has this lowest goes first where there are too many: who came first and asked nothing yet."""
        return self._answering, self.cycle is not None, self._since

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        told = {**HEADERS, "Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"}
        headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
        event = h11.Response(
            status_code=400, headers=[*headers, (b"connection", b"close")], reason=b"Bad Request"
        )
        for part in (event, h11.Data(data=msg.encode("ascii")), h11.EndOfMessage()):
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _look(self) -> None:
        """Close it if the head of a request has been on its way since the last look, whatever bytes came.

        While a request is answered it stays, and between two uvicorn closes it itself.
        """
        waiting = not self._answering and self.timeout_keep_alive_task is None
        if waiting and self._late:
            self.transport.close()
            return
        self._late = waiting
        self._watch = self.loop.call_later(IDLE_S, self._look)
