"""`healtheat review`."""

from __future__ import annotations

import contextlib
import getpass
import socket
import sys
from typing import Annotated

import typer

from healtheat.commands import _options as options
from healtheat.commands._terminal import note
from healtheat.errors import InputError

PORT = 8765
MAX_NAME = 200  # characters of who decided, as the log of verdicts takes them


def review(
    index: options.IndexOption = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who decides; kept with every verdict. Default: the user's name."),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen. Beyond this machine at your own risk.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 takes any free one.")
    ] = PORT,
    all_: options.AllOption = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser at once.")] = False,
) -> None:
    """Look at suspicious samples in the browser and decide: ok, drop, relabel, unsure.

    Prints the page's address, which holds a secret for this run, and serves it until Ctrl-C. Verdicts are
    kept in the index and go into exports; label files and class ids stay as they are.

    \b
    Examples:
      healtheat review
      healtheat review --index index/pills --name "Kim Minji"
      healtheat review --port 0 --open
    """
    from healtheat.export.table import write_csv
    from healtheat.review.auth import is_loopback
    from healtheat.review.serve import address, guard_of, listen, serve
    from healtheat.review.state import Review

    _check_name(name)
    _check_host(host)
    with options.open_index(index) as opened:
        bound = listen(host, port)
        with bound:
            guard = guard_of(host, bound.getsockname()[1])
            state = Review(opened, name or _user(), every=all_)
            if not is_loopback(host):
                note(
                    f"listening on {host}: whoever can reach this machine and learns the address below sees "
                    "the photos and can decide. Nothing is encrypted: use it on a network you trust, or stay "
                    "on 127.0.0.1 and forward the port with ssh"
                )
            link = address(host, guard)
            print(link, flush=True)
            note("open this address; stop with Ctrl-C")
            if open_:
                import webbrowser

                webbrowser.open(link)
            with contextlib.suppress(KeyboardInterrupt):
                serve(state, guard, bound, write_csv=write_csv)
        note(f"stopped; {state.work.decisions} verdicts stand in {opened.path}")
    sys.stdout.flush()


def _check_name(name: str | None) -> None:
    if name is not None and (not name.strip() or len(name) > MAX_NAME or not name.isprintable()):
        raise InputError(
            f"--name {name[:MAX_NAME]!r}: give at most {MAX_NAME} printable characters, or leave it out for "
            "the user's name"
        )


def _check_host(host: str) -> None:
    """Tell an address that is none of this machine's from a port that is taken, which `listen` tells."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.bind((host, 0))
    except (OSError, UnicodeError) as error:  # a name that is no host name at all cannot be encoded
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--host {host}: no address of this machine ({reason}); leave it out to listen on this machine "
            "alone, or give 0.0.0.0 for all of its addresses"
        ) from None


def _user() -> str:
    """The user's name, or `reviewer` where the system knows none."""
    try:
        found = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "reviewer"
    return "".join(c for c in found if c.isprintable())[:MAX_NAME].strip() or "reviewer"
