"""Which class of one version is which of the other: by id or by name, whichever the tool kept."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from healtheat.core.errors import Argument, InputError
from healtheat.core.text import shown
from healtheat.sources.named.ids import unique_labels

Matching = Literal["auto", "by-id", "by-name"]
_SHOWN = 3  # classes named in a message


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """`of_new`: class id of the new version → the old one's, or a negative number where it has none.

    `notes` say what is not plain: that ids changed, or names.
    """

    by: Literal["id", "name"]
    of_new: Mapping[int, int]
    notes: tuple[str, ...]

    def old_id(self, new_id: int) -> int:
        """The class id in the old version; one below 0 where there is none."""
        return self.of_new.get(new_id, new_id if self.by == "id" else -2 - new_id)


def match_classes(
    old: Mapping[int, str], new: Mapping[int, str], matching: Matching, *, named: bool = True
) -> ClassMatch:
    """Match the classes of two versions, given as id → name.

    auto: by id where names do not speak against it, by name where the same names have other ids. `named`:
    both have names at all. InputError where both readings are possible, or by-name cannot be.
    """
    if matching == "by-id" or (matching == "auto" and not named):
        return ClassMatch("id", {}, () if named else ("classes are matched by id: not both have names",))
    if not named:
        raise InputError(Argument("classes", "by-name"), ": one side has no class names; take by-id")
    before, after = _keys(old), _keys(new)
    id_of = {key: ident for ident, key in before.items()}
    of_new = {ident: id_of[key] for ident, key in after.items() if key in id_of}
    moved = [ident for ident, was in of_new.items() if was != ident]
    taken = set(of_new.values())
    renamed = [i for i in before.keys() & after.keys() if i not in taken and i not in of_new]
    if matching == "by-name" or (moved and not renamed):
        # a name given twice in the old version alone: the new one may have it with the id, as hand-offs do
        if twice := _twice(new) | (_twice(old) & {name.strip() for name in new.values()}):
            raise InputError(
                f"the class name {shown(min(twice))!r} is given twice, so classes cannot be matched by name; "
                "say ",
                Argument("classes", "by-id"),
            )
        whole = {ident: of_new.get(ident, -2 - ident) for ident in after}
        return ClassMatch("name", whole, _said(old, new, moved, of_new))
    kept = [ident for ident, was in of_new.items() if was == ident]
    if moved or (renamed and not kept):
        first = (renamed or moved)[0]
        raise InputError(
            f"class {first} is {shown(old.get(first, 'none'))!r} in the old version and "
            f"{shown(new.get(first, 'none'))!r} in the new one, and other classes do not tell whether ids or "
            "names were kept; say ",
            Argument("classes", "by-id"),
            " or ",
            Argument("classes", "by-name"),
        )
    notes = [f"class {i} is called {shown(new[i])!r}, {shown(old[i])!r} before" for i in sorted(renamed)]
    return ClassMatch("id", {}, _some(notes))


def _keys(names: Mapping[int, str]) -> dict[int, str]:
    """A text for each class that no other has; the one that hand-offs write where a name is given twice."""
    plain = {ident: unicodedata.normalize("NFC", name).strip() for ident, name in names.items()}
    return unique_labels(plain)


def _twice(names: Mapping[int, str]) -> set[str]:
    often = Counter(name.strip() for name in names.values())
    return {name for name, n in often.items() if n > 1}


def _said(
    old: Mapping[int, str], new: Mapping[int, str], moved: Sequence[int], of_new: Mapping[int, int]
) -> tuple[str, ...]:
    if not moved:
        return ()
    ids = [f"{shown(new[i])} is {i}, {of_new[i]} before" for i in moved]
    head = f"classes are matched by name: {len(moved)} of them have another id ({'; '.join(_some(ids))})"
    only = sorted(shown(name) for ident, name in new.items() if ident not in of_new)
    return (head, *([f"classes that the old version lacks: {', '.join(_some(only))}"] if only else []))


def _some(texts: Sequence[str]) -> tuple[str, ...]:
    more = (f"and {len(texts) - _SHOWN} more",) if len(texts) > _SHOWN else ()
    return (*texts[:_SHOWN], *more)
