"""What other libraries say of their own accord does not reach the user's screen.

Warnings of Python, log records that nobody handles, and what code in C writes to the standard error itself
(such as libtiff of a damaged TIFF) are no messages of ours: what matters of them is told by problems and
errors. They are shown, raw, where HEALTHEAT_TRACEBACK is set. Only the command line does this; importing
healtheat changes no filter, logger or stream of a program.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

TRACEBACK = "HEALTHEAT_TRACEBACK"  # set to 1 to see where an unexpected error came from
_STDERR = 2


@contextlib.contextmanager
def others_quiet() -> Iterator[None]:
    """While the block runs, other libraries are not seen or heard; `sys.stderr` writes where it wrote."""
    if os.environ.get(TRACEBACK):
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        unheard = logging.NullHandler()  # else records without a handler are printed
        logging.getLogger().addHandler(unheard)
        stack.callback(logging.getLogger().removeHandler, unheard)
        stack.enter_context(_stderr_of_c())
        yield


@contextlib.contextmanager
def _stderr_of_c() -> Iterator[None]:
    """The descriptor of the standard error leads nowhere, and `sys.stderr` has one of its own.

    Where that cannot be had (no standard error, no descriptor left), all stays as it is.
    """
    before = sys.stderr
    try:
        kept, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
    except OSError:
        yield
        return
    try:
        if _descriptor(before) == _STDERR:
            before.flush()
            sys.stderr = open(  # noqa: SIM115 - closed below, its descriptor too
                kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
            )
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        if sys.stderr is not before:
            with contextlib.suppress(OSError):
                sys.stderr.close()
        sys.stderr = before
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)


def _descriptor(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return None
