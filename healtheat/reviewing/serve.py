"""Listening: the socket first, so that the printed address is right, then the server until it is stopped."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI

from healtheat.core.errors import Argument, InputError, Part
from healtheat.reviewing.app import create_app
from healtheat.reviewing.auth import LOOPBACK, TOKEN, Guard, is_loopback
from healtheat.reviewing.connection import Patient
from healtheat.reviewing.routes.files import WriteCsv
from healtheat.reviewing.session import Review

_EVERYWHERE = ("0.0.0.0", "::")


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `host`:`port` (0: any free port). Raises InputError if it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: nobody else may take the same port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(128)  # who opens the printed address before the server answers waits, not fails
        except BaseException:
            bound.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:  # what is no host name at all cannot be encoded
        raise InputError(*_not_bound(host, port, error)) from None
    return bound


def _not_bound(host: str, port: int, error: Exception) -> tuple[Part, ...]:
    """What to do: give another host where it is none of this machine's, else another port."""
    reason = getattr(error, "strerror", None) or error
    no_host = getattr(error, "errno", None) in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    if no_host or isinstance(error, socket.gaierror | UnicodeError):
        return (
            Argument("host"),
            f" {host}: no address of this machine ({reason}); leave it out to listen on this machine "
            "alone, or give 0.0.0.0 for all of its addresses",
        )
    return (
        f"{host}:{port} cannot be listened on ({reason}); "
        "another review may be running: stop it, or choose another ",
        Argument("port"),
        " (0: any free one)",
    )


def guard_of(host: str, port: int, names: Sequence[str] = ()) -> Guard:
    """The guard of a server that listens on `host`: which names it answers to."""
    own = {host if ":" not in host else f"[{host}]", *names}
    if is_loopback(host) or host in _EVERYWHERE:
        own |= {*LOOPBACK}
    if host in _EVERYWHERE:
        own |= {socket.gethostname().lower()}
    return Guard(port=port, hosts=frozenset(own), any_address=host in _EVERYWHERE)


def address(host: str, guard: Guard) -> str:
    """What to open in the browser, with the secret of this run."""
    name = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{guard.port}/?{TOKEN}={guard.token}"


def serve(
    review: Review,
    guard: Guard,
    bound: socket.socket,
    *,
    write_csv: WriteCsv | None = None,
    started: Callable[[], Any] = lambda: None,
) -> None:
    """Answer requests until the process is told to stop (Ctrl-C or SIGTERM)."""
    app = create_app(review, guard, write_csv=write_csv)
    started()
    uvicorn.Server(config_of(app)).run(sockets=[bound])


def config_of(app: FastAPI) -> uvicorn.Config:
    """How uvicorn serves the application. It logs faults alone: a line for each odd request has no end."""
    return uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=3,
        proxy_headers=False, lifespan="off", http=Patient, ws="none",
    )  # fmt: skip
