"""Which class a code stands for. Codes without a class are told, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from healtheat.core.errors import InputError
from healtheat.listing.rule import AIHUB, Rule, read_csv

FITS = 0.5  # of the codes listed, how many must have a class before class ids are read off names or numbers


@dataclass(frozen=True, slots=True)
class ClassMap:
    """`id_of`: canonical code → class id (several codes may share one); `names`: class id → name."""

    id_of: Mapping[str, int]
    names: Mapping[int, str]


def read_classes(path: Path, rule: Rule = AIHUB) -> ClassMap:
    """The map of a CSV with the columns class_id, drug_code (or code) and, if wanted, name.

    InputError names the line: a class id that is no number, a code listed twice, a class with two names.
    """
    rows = read_csv(path)
    header = next(rows)[1]
    column = "drug_code" if "drug_code" in header else "code"
    if "class_id" not in header or column not in header:
        raise InputError(f"{path}:1: needs the columns class_id and drug_code (or code)")
    id_of: dict[str, int] = {}
    names: dict[int, str] = {}
    for line, row in rows:
        text = row["class_id"].strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 12):
            raise InputError(f"{path}:{line}: class_id {text!r} is not a whole number from 0")
        class_id, code = int(text), rule.canonical(row[column])
        if not code:
            raise InputError(f"{path}:{line}: no code for class {class_id}")
        if code in id_of:
            raise InputError(f"{path}:{line}: code {code} stands here a second time")
        id_of[code] = class_id
        name = row.get("name", "").strip() or code
        if names.setdefault(class_id, name) != name:
            raise InputError(f"{path}:{line}: class {class_id} has another name above: {names[class_id]}")
    if not id_of:
        raise InputError(f"{path}: lists no class")
    return ClassMap(id_of, names)


def class_map(
    rule: Rule, names: Mapping[int, str], listed: Iterable[str], classes: ClassMap | None = None
) -> ClassMap | None:
    """The map to use: the one given, else what the class ids or class names of the data say themselves.

    `listed` are the distinct codes that the names of the images list. Without a map given, at least half of
    them must have a class by one way: the code is the class id; class id = code − 1 (AI Hub's category
    ids); the code is the class name. None where no way fits: then nothing is known, and nothing guessed.
    """
    if classes is not None:
        return ClassMap(classes.id_of, {**classes.names, **names})
    codes = set(listed)
    ways = []
    if rule.codes_are_class_ids:
        ways.append({code: int(code) for code in codes if code.isascii() and code.isdigit()})
    if rule.category_offset is not None:
        ways.append({rule.canonical(str(i - rule.category_offset)): i for i in names})
    by_name: dict[str, int] = {}
    for class_id, name in names.items():
        if by_name.setdefault(rule.canonical(name), class_id) != class_id:
            by_name[rule.canonical(name)] = -1  # two classes of one name: neither is meant
    ways.append({name: class_id for name, class_id in by_name.items() if class_id >= 0})
    for id_of in ways:
        if codes and sum(code in id_of for code in codes) >= FITS * len(codes):
            return ClassMap(id_of, names)
    return None
