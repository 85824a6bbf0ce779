"""`healtheat review`."""

from __future__ import annotations

import contextlib
import getpass
import sys
from typing import Annotated

import typer

from healtheat.commands import _options as options
from healtheat.commands._terminal import note
from healtheat.core.errors import InputError

PORT = 8765


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
    from healtheat.core.table import write_csv
    from healtheat.reviewing.auth import is_loopback
    from healtheat.reviewing.serve import address, guard_of, listen, serve
    from healtheat.view.state import Review

    _check_name(name)
    with listen(host, port) as bound, options.open_index(index) as opened:
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
    from healtheat.index.verdicts.log import MAX_WHO

    if name is not None and (not name.strip() or len(name) > MAX_WHO or not name.isprintable()):
        raise InputError(
            f"--name {name[:MAX_WHO]!r}: give at most {MAX_WHO} printable characters, or leave it out for "
            "the user's name"
        )


def _user() -> str:
    """The user's name, or `reviewer` where the system knows none."""
    from healtheat.index.verdicts.log import MAX_WHO

    try:
        found = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "reviewer"
    return "".join(c for c in found if c.isprintable())[:MAX_WHO].strip() or "reviewer"
