"""What an index says of patterns and files is never run or opened: the user gives it again.

An index may come from a stranger. What is built in (the rules auto and aihub, the embedded encoders) needs
nobody's word; a regular expression, a path or the name of weights elsewhere does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from healtheat.core.errors import Argument, BadIndex, InputError
from healtheat.core.text import shown
from healtheat.index.store import Index

BUILT_IN_GROUPS = ("auto", "none")
BUILT_IN_RULES = ("auto", "aihub")


@dataclass(frozen=True, slots=True)
class Again:
    """What the user gives again; None is not given. Names are those of the options."""

    encoder: str | None = None
    group_by: str | None = None
    contents_rule: str | None = None
    classes: Path | None = None
    predictions: str | None = None
    missing: bool | None = None
    proposals: str | None = None


def group_rule_of(index: Index, given: str | None = None) -> str:
    """The rule that says which images of `index` are of one source.

    Raises BadIndex where there is none, InputError where it is an expression that was not given again, or
    another one was given.
    """
    kept = index.manifest.settings.get("group_rule")
    if not isinstance(kept, str) or not kept:
        raise BadIndex(f"{index.path}: settings.group_rule: expected a text; build the index again")
    if given is not None and given != kept:
        raise InputError(
            Argument("group_by"), f" {given!r}: {index.path} was built with {shown(kept, 200)!r}; give that"
        )
    if given is None and kept not in BUILT_IN_GROUPS:
        raise InputError(
            f"{index.path}: groups its images by an expression, and none that is kept in an index is run "
            "unasked; give it again with ",
            Argument("group_by", repr(shown(kept, 200))),
        )
    return kept


def refused_kept(index: Index, what: str, kept: str, *arguments: Argument) -> InputError:
    """The error: `what` of the last scoring, `kept` in the index, must be given by one of these."""
    or_ = [part for argument in arguments for part in (" or ", argument)][1:]
    return InputError(
        f"{index.path}: was scored with {what} {shown(kept, 200)!r}, and nothing that an index names is run "
        "or opened unasked; give ",
        *or_,
    )
