"""Labels against the names of their images: findings, without a pixel or an embedding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from healtheat.core.boxes import NO_CLASS, Problem, ProblemCode
from healtheat.core.errors import Argument, InputError
from healtheat.core.text import shown
from healtheat.listing.classes import ClassMap, class_map
from healtheat.listing.match import Mismatch, compare, reason
from healtheat.listing.rule import AIHUB, Rule
from healtheat.sources.label_set import LabelSet

MIN_FIT = 0.95  # of the images' names, before a rule nobody asked for is believed

COLUMNS = pa.schema(
    [
        ("image", pa.string()),
        ("line", pa.int64()),
        ("class_id", pa.int64()),
        ("issue", pa.string()),
        ("score", pa.float64()),
        ("class_name", pa.string()),
        ("suggestion", pa.int64()),
        ("reason", pa.string()),
        ("signal", pa.string()),
        ("suggestion_name", pa.string()),
        ("listed", pa.int64()),
        ("found", pa.int64()),
        ("label_file", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Listing:
    """What the names of images list: class id → how often, None where a name does not follow the rule.

    `unknown`: for each image the codes it lists that have no class. `names`: class id → name.
    """

    rule: str
    listed: tuple[Mapping[int, int] | None, ...]
    unknown: tuple[tuple[str, ...], ...]
    names: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class ContentsReport:
    """`table` has one row a finding (COLUMNS), in image order. `images` are those whose name was read.

    `unknown_codes`: code without a class → images whose names list it; their problems come last.
    """

    table: pa.Table
    problems: tuple[Problem, ...]
    images: int
    images_with_findings: int
    unknown_codes: Mapping[str, int]

    @property
    def other_problems(self) -> tuple[Problem, ...]:
        """The problems but for those of `unknown_codes`."""
        return self.problems[: len(self.problems) - sum(self.unknown_codes.values())]

    @property
    def counts(self) -> dict[str, int]:
        """Findings of each issue."""
        return dict(Counter(self.table["issue"].to_pylist()))


def listing(
    images: Sequence[str], names: Mapping[int, str], rule: Rule, classes: ClassMap | None = None
) -> Listing:
    """What the images' names list by `rule`.

    InputError where no name follows the rule, or no way leads from its codes to class ids.
    """
    codes = [rule.codes(path) for path in images]
    if images and all(c is None for c in codes):
        raise InputError(f"no name follows the rule {rule.name}; the first is {shown(images[0])}")
    every = {code for c in codes if c for code in c}
    classes = class_map(rule, names, every, classes)
    if classes is None:
        example = min(every, default="")
        raise InputError(
            f"no class is known for the codes of rule {rule.name}, such as {shown(example)}: "
            "give a CSV with class_id and drug_code by ",
            Argument("classes"),
        )
    id_of = classes.id_of
    listed: list[Mapping[int, int] | None] = []
    unknown: list[tuple[str, ...]] = []
    for c in codes:
        counts: Counter[int] = Counter()
        for code, n in (c or Counter()).items():
            if code in id_of:
                counts[id_of[code]] += n
        listed.append(None if c is None else counts)
        unknown.append(tuple(sorted(code for code in c or () if code not in id_of)))
    return Listing(rule.name, tuple(listed), tuple(unknown), {**classes.names, **names})


def detect(
    images: Sequence[str], names: Mapping[int, str], classes: ClassMap | None = None
) -> Listing | None:
    """The listing by AI Hub's rule where nearly all names follow it and class ids can be told; else None."""
    codes = [AIHUB.codes(path) for path in images]
    if not images or sum(c is not None for c in codes) < MIN_FIT * len(images):
        return None
    if class_map(AIHUB, names, {code for c in codes if c for code in c}, classes) is None:
        return None
    return listing(images, names, AIHUB, classes)


def check(labels: LabelSet, what: Listing) -> ContentsReport:
    """Missing boxes, boxes too many and unexpected classes on every image whose name could be read.

    Names that do not follow the rule, and codes without a class, become problems.
    """
    problems = list(labels.problems)
    no_class: list[Problem] = []
    unknown_codes: Counter[str] = Counter()
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS.names}
    rows: list[list[int]] = [[] for _ in labels.images]
    for row, place in enumerate(labels.boxes.image_id.tolist()):
        rows[place].append(row)
    class_ids, lines = labels.boxes.class_id.tolist(), labels.boxes.line.tolist()
    images = affected = 0
    for place, image in enumerate(labels.images):
        listed = what.listed[place]
        if listed is None:
            why = f"the name does not follow the rule {what.rule}"
            problems.append(Problem(ProblemCode.NAME_OFF_RULE, image, None, why, image))
            continue
        images += 1
        for code in what.unknown[place]:
            why = f"the name lists {code}, which has no class"
            no_class.append(Problem(ProblemCode.CODE_WITHOUT_CLASS, image, None, why, image))
            unknown_codes[code] += 1
        found = compare(
            listed,
            [class_ids[r] for r in rows[place]],
            broken=labels.broken.get(place, ()),
            complete=not what.unknown[place],
        )
        affected += bool(found)
        label_path = labels.label_paths[place] if labels.label_paths else ""
        lost = bool(labels.statuses) and labels.statuses[place] == "unlabelled"
        for mismatch in found:
            line = lines[rows[place][mismatch.box]] if mismatch.box >= 0 else -1
            for name, value in _row(mismatch, what.names, lost).items():
                columns[name].append(value)
            columns["image"].append(image)
            columns["line"].append(line)
            columns["label_file"].append(label_path)
    return ContentsReport(
        pa.table(columns, schema=COLUMNS), tuple(problems + no_class), images, affected, unknown_codes
    )


def _row(m: Mismatch, names: Mapping[int, str], unlabelled: bool) -> dict[str, object]:
    name = names.get(m.class_id, str(m.class_id))
    advised = m.suggestion != NO_CLASS
    return {
        "class_id": m.class_id,
        "issue": m.issue,
        "score": m.score,
        "class_name": names.get(m.class_id, ""),
        "suggestion": m.suggestion if advised else None,
        "suggestion_name": names.get(m.suggestion, "") if advised else None,
        "reason": reason(m, name) + (" (no label file)" if unlabelled else ""),
        "signal": "contents",
        "listed": m.listed,
        "found": m.found,
    }
