"""How long work reports itself: the library calls back, the command line draws."""

from collections.abc import Callable

# (stage, done, total); total is None while it is not known
Progress = Callable[[str, int, int | None], None]


def silent(stage: str, done: int, total: int | None) -> None:
    """A progress callback that shows nothing."""
