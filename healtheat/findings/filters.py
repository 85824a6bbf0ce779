"""The one filter language: which findings the command line, the functions and the page list.

A value that an index does not have is refused, with the nearest ones that it has: a typo must not look like
"nothing found", least of all in a gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from healtheat.core.arguments import number, switch
from healtheat.core.errors import Argument, InputError, UsageError
from healtheat.core.issues import ISSUES
from healtheat.core.text import did_you_mean, shown, whole_number
from healtheat.core.verdicts import DECISIONS

if TYPE_CHECKING:
    import pyarrow as pa

VERDICTS: tuple[str, ...] = (*DECISIONS, "none")  # none: nobody decided yet

# What a finding has come to: confirmed by a person (drop, relabel, added, moved), cleared by a person (ok),
# flagged and not decided (or unsure), below the threshold of its issue and not decided, or closed: a person
# decided about the same box by another of its findings.
STATUSES: tuple[str, ...] = ("confirmed", "flagged", "cleared", "unflagged", "closed")
LISTED: tuple[str, ...] = STATUSES[:3]  # what a cleanup list tells of

Words = str | Iterable[str] | None  # one value of a filter or several; None does not filter
ClassWords = str | int | Iterable[str | int] | None  # ids or exact names

_MOST_LISTED = 12  # known values named in full in a message


class Findings(Protocol):
    """What a query needs of an index."""

    @property
    def names(self) -> Mapping[int, str]: ...
    def sql(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table: ...


@dataclass(frozen=True, slots=True)
class Filters:
    """Which findings to list. Nothing given does not filter; several values of one filter mean "any of".

    Each filter takes one value or several: `Filters(issues="mislabel")`. `classes` are ids or exact names,
    `images` globs over the image's path (`*` also crosses folders). With `flagged_only` false every judged
    (box, issue) is a row; else those past the threshold of their issue, without what a person has settled by
    calling it, or the same box by another issue, `ok`.
    `verdicts` picks by a person's decision instead: ok, drop, relabel, unsure, added, moved, none.
    `statuses` (of `STATUSES`) picks by what a finding has come to, flagged or not, whatever `flagged_only`
    says. Raises InputError for a value of another type, or an issue, verdict or status that does not exist.
    """

    issues: Words = ()
    classes: ClassWords = ()
    signals: Words = ()
    splits: Words = ()
    images: Words = ()
    min_score: float | None = None
    flagged_only: bool = True
    verdicts: Words = ()
    statuses: Words = ()

    def __new__(cls, *_: object, **given: object) -> Self:
        """Raises UsageError for a filter that there is none of, with the nearest names."""
        for name in given.keys() - cls.__dataclass_fields__.keys():
            close = did_you_mean(name, cls.__dataclass_fields__)
            raise UsageError(f"Filters has no {name!r}{close}")
        return object.__new__(cls)

    def __post_init__(self) -> None:
        for name in ("issues", "signals", "splits", "images", "verdicts", "statuses"):
            object.__setattr__(self, name, values(name, getattr(self, name), (str,)))
        object.__setattr__(self, "classes", values("classes", self.classes, (str, int)))
        for what, given, known in (
            ("issue", self.issues, ISSUES),
            ("verdict", self.verdicts, VERDICTS),
            ("status", self.statuses, STATUSES),
        ):
            for value in words(given):
                if value not in known:
                    raise InputError(_unknown(what, value, known))
        number(min_score=self.min_score, optional=True)
        switch(flagged_only=self.flagged_only)
        if (score := self.min_score) is not None and not 0 <= score <= 1:
            raise InputError(Argument("min_score"), f" {score}: scores lie in [0, 1]; give a value in it")

    def only_flagged(self) -> Filters:
        """The same filters, of what is flagged and nobody cleared, unless they name a status themselves."""
        return replace(self, flagged_only=True)

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The classes as ids, as `of` leaves them."""
        return tuple(int(one) for one in _several(self.classes))

    def of(self, index: Findings) -> Filters:
        """The same filters with class ids. Raises InputError for a value that `index` does not have."""
        return replace(
            self,
            classes=class_ids(index.names, [str(one) for one in _several(self.classes)]),
            signals=_known(index, "signal", words(self.signals), _SIGNALS),
            splits=_known(index, "split", words(self.splits), _SPLITS),
            images=_matching(index, words(self.images)),
        )


_SIGNALS = (
    "select distinct signal as value from runs where signal is not null union select signal from findings"
)
_SPLITS = "select distinct split as value from images"


def words(given: Words) -> tuple[str, ...]:
    """The values, of one or several."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def class_ids(names: Mapping[int, str], wanted: Sequence[str]) -> tuple[int, ...]:
    """Class ids for what a person typed: an id or an exact name. Raises InputError with the nearest names."""
    found: list[int] = []
    for text in wanted:
        by_name = [class_id for class_id, name in names.items() if name == text]
        if (class_id := whole_number(text)) in names:
            found.append(class_id)
        elif by_name:
            found.extend(by_name)
        else:
            known = [name for name in names.values() if name] or [str(i) for i in names]
            close = did_you_mean(text, known) or f"; classes are {', '.join(map(repr, known[:3]))} …"
            raise InputError(f"no class {shown(text)!r} in this index{close} (ids work too)")
    return tuple(dict.fromkeys(found))


def conditions(filters: Filters, columns: Mapping[str, str]) -> tuple[str, list[Any]]:
    """An SQL condition and its parameters, for filters whose classes are ids (see `Filters.of`).

    `columns` says what the table calls issue, class_id, signal, split, image, score, verdict (NULL for not
    decided), status and flagged; KeyError for a filter on one that it lacks.
    """
    terms: list[str] = []
    parameters: list[Any] = []

    def any_of(column: str, values: Sequence[Any], compare: str = "{} = ?") -> None:
        if values:
            terms.append("(" + " or ".join([compare.format(columns[column])] * len(values)) + ")")
            parameters.extend(values)

    any_of("issue", words(filters.issues))
    any_of("class_id", filters.class_ids)
    any_of("signal", words(filters.signals))
    any_of("split", words(filters.splits))
    any_of("image", words(filters.images), "{} glob ?")
    any_of("verdict", words(filters.verdicts), "coalesce({}, 'none') = ?")
    if filters.min_score is not None:
        any_of("score", [filters.min_score], "{} >= ?")
    any_of("status", words(filters.statuses))
    if filters.flagged_only and not filters.statuses:
        terms.append(columns["flagged"])
        settled = ("closed",) if filters.verdicts else ("cleared", "closed")
        terms.append(f"{columns['status']} not in ({', '.join(map(repr, settled))})")
    return " and ".join(terms) or "true", parameters


def _several(given: ClassWords) -> tuple[str | int, ...]:
    return (given,) if isinstance(given, str | int) else tuple(given or ())


def values(name: str, given: Any, types: tuple[type, ...]) -> tuple[Any, ...]:
    """`given` as a tuple. Raises InputError for values of another type."""
    several = (given,) if isinstance(given, (*types, bytes)) else given
    try:
        found = tuple(() if several is None else several)
    except TypeError:
        found = (given,)
    for value in found:
        if not isinstance(value, types) or isinstance(value, bool):
            expected = " or ".join({str: "text", int: "a number"}[t] for t in types)
            raise UsageError(
                Argument(name), f": expected {expected} or several, found {type(value).__name__}"
            )
    return found


def _unknown(what: str, value: str, known: Sequence[str]) -> str:
    choices = f"; choose from {', '.join(known)}" if 0 < len(known) <= _MOST_LISTED else ""
    return f"no {what} {shown(value)!r}{did_you_mean(value, known)}{choices}"


def _known(index: Findings, what: str, values: tuple[str, ...], query: str) -> tuple[str, ...]:
    if values:
        known = sorted(index.sql(query)["value"].to_pylist())
        for value in values:
            if value not in known:
                named = [name for name in known if name]
                raise InputError(
                    _unknown(what, value, named) + ("" if named else f"; this index has no {what}s")
                )
    return values


def _matching(index: Findings, globs: tuple[str, ...]) -> tuple[str, ...]:
    for glob in globs:
        if not len(index.sql("select 1 from images where path glob ? limit 1", [glob])):
            paths = index.sql("select path from images order by image_id limit 5000")["path"].to_pylist()
            inside = next((path for path in paths if glob.strip("*").lower() in path.lower()), "")
            close = f"; did you mean '*{shown(glob.strip('*'))}*'?" if inside else did_you_mean(glob, paths)
            example = f"; paths look like {shown(inside or paths[0])!r}" if paths else ""
            raise InputError(f"no image matches {shown(glob)!r}{close}{example}")
    return globs
