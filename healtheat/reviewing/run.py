"""`review` as one call: listen, open the index, serve until told to stop."""

from __future__ import annotations

import contextlib
import getpass
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from healtheat.core.errors import Argument, InputError
from healtheat.core.table import write_csv
from healtheat.index.locate import IndexLike, opened
from healtheat.index.verdicts.log import MAX_WHO
from healtheat.reviewing.serve import address, guard_of, listen, serve
from healtheat.reviewing.session import Review

PORT = 8765


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review that was stopped: `decisions` verdicts stand in the index in the folder `index`."""

    index: Path
    decisions: int


def review(
    index: IndexLike = None,
    *,
    against: IndexLike = None,
    name: str | None = None,
    host: str = "127.0.0.1",
    port: int = PORT,
    every: bool = False,
    open_browser: bool = False,
    ready: Callable[[str], None] = lambda address: None,
) -> Reviewed:
    """Serve the review page of `index` at `host`:`port` (0: any free port) until Ctrl-C.

    `against` is the trusted index that a vetted batch was judged by: its crops are shown beside those of the
    batch. `name` is who decides, by default the user's name; `every` shows all judged boxes. `ready` is
    called with the page's address, which holds a secret for this run, as soon as it can be opened. Raises
    InputError for a name that nobody has, an index `against` that cannot be compared, or where it cannot
    listen there; BadIndex.
    """
    who = _who(name)
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(listen(host, port))
        own = stack.enter_context(opened(index))
        trusted = None if against is None else stack.enter_context(opened(against))
        state = Review(own, who, every=every, trusted=trusted)
        guard = guard_of(host, bound.getsockname()[1])
        link = address(host, guard)
        ready(link)
        if open_browser:
            webbrowser.open(link)
        with contextlib.suppress(KeyboardInterrupt):
            serve(state, guard, bound, write_csv=write_csv)
        return Reviewed(own.path, state.work.decisions)


def _who(name: str | None) -> str:
    """`name` where it can be one, else the user's; `reviewer` where the system knows none."""
    if name is not None:
        if not name.strip() or len(name) > MAX_WHO or not name.isprintable():
            raise InputError(
                Argument("name"),
                f" {name[:MAX_WHO]!r}: give at most {MAX_WHO} printable characters, or leave it out "
                "for the user's name",
            )
        return name
    try:
        found = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "reviewer"
    return "".join(c for c in found if c.isprintable())[:MAX_WHO].strip() or "reviewer"
