"""A connection that says nothing is closed, and only so many are kept: silent ones would fill the server."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

IDLE_S = 15.0  # for the head of a request; the browser connects again when it needs to
MOST = 128  # connections of one server


class Patient(H11Protocol):
    """uvicorn's HTTP, which waits for ever for a first request, with an end to its patience."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let in a connection, for a while."""
        super().connection_made(transport)
        self._late = True  # a first request comes at once
        self._watch = self.loop.call_later(IDLE_S, self._look)
        if len(self.connections) > MOST:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close it if the head of a request has been on its way since the last look, whatever bytes came.

        While a request is answered it stays, and between two uvicorn closes it itself.
        """
        answering = self.cycle is not None and not self.cycle.response_complete
        waiting = not answering and self.timeout_keep_alive_task is None
        if waiting and self._late:
            self.transport.close()
            return
        self._late = waiting
        self._watch = self.loop.call_later(IDLE_S, self._look)
