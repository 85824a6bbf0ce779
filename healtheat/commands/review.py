"""`healtheat review`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import echo, note
from healtheat.core.text import counted


def review(
    index: options.IndexOption = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="INDEX",
            help="For a vetted batch: the index it was judged by. Its crops are shown beside the batch's.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who decides; kept with every verdict. Default: the user's name."),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to listen on. Other than this machine's own at your own risk."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 takes any free one.")
    ] = 8765,
    all_: options.AllOption = False,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser at once.")] = False,
) -> None:
    """Look at suspicious samples in the browser and decide: ok, drop, relabel, added, moved, unsure.

    Prints the page's address, which holds a secret for this run, and serves it until Ctrl-C. Verdicts are
    kept in the index and go into exports; label files and class ids stay as they are.

    \b
    Examples:
      healtheat review
      healtheat review --index index/pills --name "Kim Minji"
      healtheat review --port 0 --open
      healtheat review --index vetted/june --against index/pills
    """

    def ready(address: str) -> None:
        from healtheat.reviewing.auth import is_loopback

        if not is_loopback(host):
            note(
                f"listening on {host}: whoever can reach this machine and learns the address below sees "
                "the images and can decide. Nothing is encrypted: use it on a network you trust, or stay "
                "on 127.0.0.1 and forward the port with ssh"
            )
        echo(address)
        sys.stdout.flush()
        note("open this address; stop with Ctrl-C")

    done = api.review(
        options.which_index(index),
        against=against,
        name=name,
        host=host,
        port=port,
        all_=all_,
        open_=open_,
        ready=ready,
    )
    note(f"stopped; {counted(done.decisions, 'verdict stands', 'verdicts stand')} in {done.index}")
    sys.stdout.flush()
