"""What the image's name says: rules, class maps, the comparison, and the real AI Hub labels."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.core.boxes import NO_CLASS, Boxes, Problem, ProblemCode
from healtheat.core.errors import InputError
from healtheat.core.table import write_csv
from healtheat.findings.inputs import Inputs
from healtheat.listing import (
    AIHUB,
    ChosenRule,
    ClassMap,
    PatternRule,
    TableRule,
    check,
    class_map,
    compare,
    detect,
    listing,
    open_rule,
    read_classes,
)
from healtheat.listing.rule import MAX_PATH_CHARS
from healtheat.signals.base import Scores
from healtheat.signals.contents import Contents
from healtheat.signals.label import Label
from healtheat.signals.samples import Samples
from healtheat.sources.label_set import broken_classes, label_set, read_label_set

SETUP = "_0_2_0_2_70_000_200"


def boxes(*class_ids: int) -> Boxes:
    return Boxes.of(range(len(class_ids)), class_ids, [[0.5, 0.5, 0.1, 0.1]] * len(class_ids))


# --- rules ---


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        (f"K-001900-010224{SETUP}.png", {"001900": 1, "010224": 1}),
        (f"train/images/K-001900{SETUP}.png", {"001900": 1}),
        (f"K-001900-001900-010224{SETUP}.png", {"001900": 2, "010224": 1}),
        (f"K-001900-010224{SETUP}_png.rf.0a1b.jpg", {"001900": 1, "010224": 1}),
        (f"K-001900-010224{SETUP}", {"001900": 1, "010224": 1}),
        (f"K-001900-01022{SETUP}.png", None),  # five digits
        (f"xK-001900{SETUP}.png", None),
        ("K-001900_0_2_0.png", None),
        ("IMG_0001.jpg", None),
        ("", None),
        ("K-" + "1" * 6 + f"{SETUP}1".replace("200", "2" * 400) + ".png", None),
    ],
)
def test_aihub_names(path: str, codes: dict[str, int] | None) -> None:
    assert AIHUB.codes(path) == codes


@given(
    st.lists(st.integers(0, 999_999), min_size=1, max_size=6),
    st.lists(st.integers(0, 9999), min_size=7, max_size=7),
)
def test_every_code_of_an_aihub_name_is_listed(codes: list[int], setup: list[int]) -> None:
    name = "K-" + "-".join(f"{c:06d}" for c in codes) + "".join(f"_{n}" for n in setup)
    assert AIHUB.codes(f"a/b/{name}.png") == Counter(f"{c:06d}" for c in codes)


@given(st.text(max_size=300))
def test_no_name_breaks_a_rule(path: str) -> None:
    for rule in (
        AIHUB,
        PatternRule.of(r"(?P<count>\d+)x(?P<code>\w+?)(?:_|$)"),
        PatternRule.of("(?P<codes>.*)"),
    ):
        found = rule.codes(path)
        assert found is None or all(code and n >= 0 for code, n in found.items())


def test_a_name_without_end_follows_no_rule() -> None:
    assert PatternRule.of("(?P<codes>.*)").codes("a" * MAX_PATH_CHARS) == {"a" * MAX_PATH_CHARS: 1}
    assert PatternRule.of("(?P<codes>.*)").codes("a" * (MAX_PATH_CHARS + 1)) is None


def test_a_users_expression_lists_codes_or_counts_them() -> None:
    listed = PatternRule.of(r"^(?P<codes>.+)__")
    assert listed.codes("tylenol+advil-advil__0003.jpg") == {"tylenol": 1, "advil": 2}
    assert listed.codes("0003.jpg") is None
    counted = PatternRule.of(r"(?P<count>[0-9]+)x(?P<code>[a-z]+)")
    assert counted.codes("2xadvil_1xmidol.jpg") == {"advil": 2, "midol": 1}
    assert counted.codes("99999xadvil.jpg") is None  # no image holds as many


def test_decomposed_hangul_is_the_same_word() -> None:
    assert PatternRule.of("(?P<codes>.+)").codes("\u1100\u1161.jpg") == {"\uac00": 1}


@pytest.mark.parametrize("expression", ["(", "[a-z]+", "(?P<name>x)"])
def test_a_bad_expression_is_bad_input(expression: str) -> None:
    with pytest.raises(InputError, match="rule '"):
        open_rule(expression)


def test_a_table_lists_what_is_on_an_image(tmp_path: Path) -> None:
    file = tmp_path / "contents.csv"
    file.write_text(
        "\ufeffimage,code,count\na/1.jpg,약,2\na/1.jpg,x,\n2.jpg,,\nb/1.jpg,y,1\n", encoding="utf-8"
    )
    rule = open_rule(str(file))
    assert rule.codes("a/1.jpg") == {"약": 2, "x": 1}
    assert rule.codes("a/1.txt") == {"약": 2, "x": 1}
    assert rule.codes("2.jpg") == {}  # nothing is on it
    assert rule.codes("deep/er/2.png") == {}  # only one listed image has that name
    assert rule.codes("deep/1.jpg") is None  # two have
    assert rule.codes("3.jpg") is None


def test_a_table_of_class_ids_needs_no_map(tmp_path: Path) -> None:
    file = tmp_path / "contents.csv"
    file.write_text("image,class_id\n1.jpg,7\n1.jpg,7\n", encoding="utf-8")
    what = listing(["1.jpg"], {}, TableRule.read(file))
    assert what.listed == ({7: 2},)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("photo,code\n", 1),
        ("image,code\na.jpg\n", 2),
        ("image,code,count\na.jpg,x,many\n", 2),
        ("image,code,count\na.jpg,x,5000\n", 2),
        ("image,class_id\na.jpg,one\n", 2),
        ('image,code\na.jpg,"x"y\n', 2),
    ],
)
def test_a_bad_table_names_its_line(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "contents.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"contents\.csv:{line}:"):
        TableRule.read(file)


def test_a_table_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "contents.csv"
    file.write_bytes("image,code\n1.jpg,약\n".encode("cp949"))
    with pytest.raises(InputError, match="UTF-8"):
        TableRule.read(file)


# --- class maps ---


def test_classes_are_read_and_spreadsheets_may_strip_zeros(tmp_path: Path) -> None:
    file = tmp_path / "classes.csv"
    file.write_text("class_id,drug_code,name\n0,1900,가\n5,010224,나\n5,002483,나\n", encoding="utf-8")
    classes = read_classes(file)
    assert classes.id_of == {"001900": 0, "010224": 5, "002483": 5}
    assert classes.names == {0: "가", 5: "나"}


@pytest.mark.parametrize(
    ("rows", "line"),
    [("x,001900,a", 2), ("-1,001900,a", 2), ("0,001900,a\n1,1900,b", 3), ("0,1,a\n0,2,b", 3), ("0,,a", 2)],
)
def test_a_bad_class_names_its_line(tmp_path: Path, rows: str, line: int) -> None:
    file = tmp_path / "classes.csv"
    file.write_text(f"class_id,drug_code,name\n{rows}\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"classes\.csv:{line}:"):
        read_classes(file)


def test_class_ids_are_told_by_number_or_name_or_not_at_all() -> None:
    codes = ["001900", "010224"]
    by_number = class_map(AIHUB, {1899: "a", 10223: "b", 4: "c"}, codes)
    assert by_number is not None and by_number.id_of["010224"] == 10223
    by_name = class_map(
        PatternRule.of("(?P<codes>.+)"), {3: "advil", 9: "midol"}, ["advil", "midol", "other"]
    )
    assert by_name is not None and by_name.id_of == {"advil": 3, "midol": 9}
    assert class_map(AIHUB, {i: str(i) for i in range(73)}, codes) is None
    assert (
        class_map(PatternRule.of("(?P<codes>.+)"), {3: "advil", 9: "advil"}, ["advil"]) is None
    )  # which one?


# --- the comparison ---


def slow_compare(listed: dict[int, int], class_ids: list[int]) -> tuple[Counter[int], Counter[int]]:
    """Cross out pairs one by one: what is left of the name is missing, what is left of the boxes too many."""
    left = [c for c, n in listed.items() for _ in range(n)]
    over = []
    for class_id in class_ids:
        if class_id in left:
            left.remove(class_id)
        else:
            over.append(class_id)
    return Counter(left), Counter(over)


@given(
    st.dictionaries(st.integers(0, 5), st.integers(1, 3), max_size=4), st.lists(st.integers(0, 6), max_size=8)
)
def test_compare_crosses_out_pairs(listed: dict[int, int], class_ids: list[int]) -> None:
    found = compare(listed, class_ids)
    missing, over = slow_compare(listed, class_ids)
    left = max(
        0, missing.total() - over.total()
    )  # a box too many may be one of the missing, wrongly labelled
    told = [m for m in found if m.issue == "missing_box"]
    assert Counter(m.class_id for m in told) == (missing if left else Counter())
    assert sum(m.score for m in told) == pytest.approx(left)
    for class_id in set(class_ids):
        rows = [m for m in found if m.issue == "unexpected_class" and m.class_id == class_id]
        assert sum(m.score for m in rows) == pytest.approx(over[class_id])  # as many must be wrong
        assert {class_ids[m.box] for m in rows} <= {class_id}
    for m in found:
        assert m.suggestion in (NO_CLASS, *(missing if len(missing) == 1 else ()))


def test_a_swapped_class_gets_the_missing_one_as_advice() -> None:
    (wrong,) = compare({1: 1, 2: 1}, [1, 3])  # one error, one finding
    assert (wrong.issue, wrong.class_id, wrong.box, wrong.suggestion) == ("unexpected_class", 3, 1, 2)
    assert compare({1: 1, 2: 1}, [1, 3], complete=False)[0].suggestion == NO_CLASS
    missing = compare({1: 1, 2: 1, 4: 1}, [1, 3])[:2]
    assert [(m.issue, m.class_id, m.score) for m in missing] == [
        ("missing_box", 2, 0.5),
        ("missing_box", 4, 0.5),
    ]


def test_a_line_that_cannot_be_read_is_no_missing_box() -> None:
    assert compare({1: 1, 2: 1}, [1], broken=[2]) == []
    assert compare({1: 1, 2: 1}, [1], broken=[NO_CLASS]) == []
    assert [m.score for m in compare({1: 1, 2: 1}, [], broken=[NO_CLASS])] == [0.5, 0.5]
    assert [m.class_id for m in compare({1: 1, 2: 1}, [1], broken=[1])] == [2]


def test_check_names_what_it_cannot_judge() -> None:
    images = [("adv_mid.jpg", boxes(0)), ("IMG.jpg", boxes(0)), ("adv_new.jpg", boxes(0))]
    rule = PatternRule.of("^(?P<codes>adv.*)")
    classes = ClassMap({"adv": 0, "mid": 1}, {0: "Advil", 1: "Midol"})
    labels = label_set(images, {0: "Advil"})
    report = check(labels, listing(labels.images, labels.names, rule, classes))
    assert report.table.num_rows == 1 and (report.images, report.images_with_findings) == (2, 1)
    row = report.table.to_pylist()[0]
    assert (row["image"], row["line"], row["class_id"], row["class_name"]) == ("adv_mid.jpg", -1, 1, "Midol")
    assert [str(p) for p in report.problems] == [
        "IMG.jpg: the name does not follow the rule ^(?P<codes>adv.*)",
        "adv_new.jpg: the name lists new, which has no class",
    ]


def test_nothing_is_guessed_where_no_name_fits_or_no_class_is_known() -> None:
    with pytest.raises(InputError, match="no name follows"):
        listing(["IMG.jpg"], {}, AIHUB)
    with pytest.raises(InputError, match="by classes"):
        listing([f"K-001900{SETUP}.png"], {0: "a"}, AIHUB)
    assert detect(["IMG.jpg"], {1899: "a"}) is None
    assert detect([f"K-001900{SETUP}.png"], {0: "a"}) is None
    assert detect([f"K-001900{SETUP}.png"], {1899: "a"}) is not None
    assert (
        detect([f"K-001900{SETUP}.png"] * 18 + ["a", "b"], {1899: "a"}) is None
    )  # nine in ten is not nearly all


# --- label folders ---


def test_a_label_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "classes.txt").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / f"K-000001-000002{SETUP}.txt").write_text("0 .5 .5 .1 .1\n1 6.8 .5 .1 .1\n", encoding="utf-8")
    (tmp_path / "sub" / f"K-000001{SETUP}.txt").write_bytes(b"")
    labels = read_label_set(tmp_path, image_suffix=".png")
    assert labels.images == (f"K-000001-000002{SETUP}.png", f"sub/K-000001{SETUP}.png")
    assert labels.statuses == ("labelled", "empty")
    assert labels.broken == {0: (1,)}
    assert [p.line for p in labels.problems] == [1]
    classes = ClassMap({"000001": 0, "000002": 1}, {})
    report = check(labels, listing(labels.images, {}, AIHUB, classes))
    assert report.table.select(["image", "class_id", "label_file"]).to_pylist() == [
        {"image": f"sub/K-000001{SETUP}.png", "class_id": 0, "label_file": f"sub/K-000001{SETUP}.txt"}
    ]


def test_a_label_folder_finds_its_images(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "1.webp").write_bytes(b"")
    (tmp_path / "labels" / "train" / "1.txt").write_text("0 .5 .5 .1 .1", encoding="utf-8")
    (tmp_path / "labels" / "train" / "2.txt").write_text("0 .5 .5 .1 .1", encoding="utf-8")
    assert read_label_set(tmp_path / "labels").images == ("images/train/1.webp", "train/2.txt")


def test_a_line_that_stands_there_twice_hides_no_missing_box(tmp_path: Path) -> None:
    file = tmp_path / f"K-000001-000002{SETUP}.txt"
    file.write_text("0 .5 .5 .1 .1\n0 .5 .5 .1 .1\n", encoding="utf-8")
    labels = read_label_set(tmp_path)
    assert len(labels.problems) == 1 and labels.broken == {}
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 10}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 4, "bbox": [1, 1, 2, 2]},
            {"id": 2, "image_id": 1, "category_id": 4, "bbox": [1, 1, 2, 2]},
            {"id": 3, "image_id": 1, "category_id": 4, "bbox": [1, 1, 0, 2]},
        ],
        "categories": [{"id": 4, "name": "a"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco), encoding="utf-8")
    labels = read_label_set(tmp_path / "coco.json")
    assert len(labels.boxes) == 1 and len(labels.problems) == 2
    assert labels.broken == {0: (NO_CLASS,)}


def test_a_label_file_that_is_gone_leaves_the_class_unknown(tmp_path: Path) -> None:
    problem = Problem(ProblemCode.BAD_LINE, "a.txt", 3, "x 7 lies outside 0 to 1")
    assert broken_classes([problem], tmp_path / "a.txt") == (NO_CLASS,)
    (tmp_path / "a.txt").write_text("0 0 0 0 0\n", encoding="utf-8")
    assert broken_classes([problem], tmp_path / "a.txt") == (NO_CLASS,)


# --- the signal ---


def images_of(
    paths: list[str], rows: list[tuple[int, int]], names: dict[int, str], **more: object
) -> Samples:
    return Samples.of(
        [c for _, c in rows],
        np.eye(4, dtype=np.float32)[[i % 4 for i in range(len(rows))]],
        image_id=[i for i, _ in rows],
        xywhn=[[(at % 8 + 0.5) / 8, 0.5, 0.1, 0.1] for at in range(len(rows))],
        image_path=paths,
        names=names,
        **more,  # type: ignore[arg-type]
    )


def asked(samples: Samples, rule: ChosenRule | None = None) -> Sequence[Scores]:
    """What the signal says of the samples, with what their names list by `rule`."""
    joined = Inputs(rule or ChosenRule()).joined(Contents(), samples)
    return Contents().measure(joined, joined)


def test_the_signal_agrees_with_the_label_files() -> None:
    paths = [f"K-{a:06d}-{b:06d}{SETUP}.png" for a, b in ((1, 2), (2, 3), (3, 3))]
    names = {0: "a", 1: "b", 2: "c"}
    samples = images_of(paths, [(0, 0), (0, 2), (1, 1), (2, 2)], names)
    unexpected, missing = asked(samples)
    assert unexpected.issue == "unexpected_class" and (unexpected.score < 0.1).all()
    assert "but something else that is left" in unexpected.reason[1]
    likely = missing.score > 0.5
    assert missing.issue == "missing_box" and missing.image_id[likely].tolist() == [1, 2]
    assert missing.line[likely].tolist() == [-1] * 2 and missing.class_id[likely].tolist() == [2, 2]
    joined = Inputs().joined(Label(), samples)
    (label,) = Label().measure(joined, joined)
    assert (label.score > 0.5).tolist() == [False, True, False, False] and label.suggestion[1] == 1


def test_where_crops_cannot_be_compared_one_wrong_label_is_one_finding() -> None:
    paths = [f"K-{a:06d}-{b:06d}{SETUP}.png" for a, b in ((1, 2), (1, 2))]
    samples = images_of(paths, [(0, 2), (0, 2), (1, 2)], {0: "a", 1: "b", 2: "c"})  # one class: no model
    unexpected, missing = asked(samples)
    assert unexpected.score.tolist() == [1.0, 1.0, 1.0]
    assert missing.image_id.tolist() == [1, 1] and missing.score.tolist() == [0.5, 0.5]


def test_the_signal_is_silent_where_no_rule_fits() -> None:
    assert list(asked(images_of(["a.jpg"], [(0, 0)], {0: "a"}))) == []
    assert list(asked(images_of([f"K-001900{SETUP}.png"], [(0, 0)], {0: "a"}))) == []
    never_joined = images_of([f"K-000001{SETUP}.png"], [(0, 0)], {0: "a"})
    assert list(Contents().measure(never_joined, never_joined)) == [] != list(asked(never_joined))


def test_the_signal_abstains_where_a_name_says_nothing() -> None:
    paths = [f"K-000001{SETUP}.png"] * 39 + ["odd.png"]
    unexpected, missing = asked(images_of(paths, [(i, 0) for i in range(40)], {0: "a"}))
    assert unexpected.abstain[39] is not None and np.isnan(unexpected.score[39])
    assert (unexpected.score[:39] == 0).all() and len(missing.score) == 0


def test_the_signal_does_not_miss_boxes_of_lines_it_cannot_read() -> None:
    path = f"K-000001-000002{SETUP}.png"
    problem = Problem(ProblemCode.BAD_LINE, "labels/x.txt", 1, "x 7 lies outside 0 to 1", path)
    samples = images_of([path], [(0, 0)], {0: "a", 1: "b"}, problems=[problem])
    assert len(asked(samples)[1].score) == 0


def test_the_signal_takes_a_rule_and_a_class_map(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("class_id,drug_code\n7,001900\n", encoding="utf-8")
    rule = ChosenRule("aihub", tmp_path / "classes.csv")
    assert Inputs(rule).settings(Contents()) == {"classes": str(tmp_path / "classes.csv"), "rule": "aihub"}
    samples = images_of([f"K-001900{SETUP}.png"], [(0, 3)], {3: "x", 7: "y"})
    unexpected, missing = asked(samples, rule)
    assert unexpected.suggestion.tolist() == [7] and len(missing.score) == 0
    joined = Inputs(rule).joined(Contents(), samples)
    assert Inputs().joined(Contents(), joined) is joined  # what is joined already stays
    with pytest.raises(ValueError, match=r"Samples\.listing: 1 images, expected 2"):
        replace(images_of(["a.png", "b.png"], [(0, 3)], {3: "x"}), listing=joined.listing)
    with pytest.raises(InputError):
        ChosenRule("(")


# --- real data ---


def test_aihub_labels_miss_1130_boxes_on_847_images(shared: Path) -> None:
    data = shared / "data" / "aihub-labels"
    classes = read_classes(data / "classes.csv")
    labels = read_label_set(data / "labels_raw", names=classes.names, image_suffix=".png")
    report = check(labels, listing(labels.images, labels.names, AIHUB, classes))
    out = io.StringIO(newline="")
    write_csv(report.table, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0])[:9] == [
        *("image", "line", "class_id", "issue", "score", "class_name", "suggestion", "reason", "signal")
    ]
    assert {row["issue"] for row in rows} == {"missing_box"} and {row["line"] for row in rows} == {"-1"}
    # the slow, obvious count, without any code of ours
    code_of = {
        int(r["class_id"]): r["drug_code"]
        for r in csv.DictReader((data / "classes.csv").open(encoding="utf-8"))
    }
    expected: Counter[tuple[str, str]] = Counter()
    for file in (data / "labels_raw").iterdir():
        there = [
            code_of[int(line.split()[0])]
            for line in file.read_text(encoding="utf-8").splitlines()
            if line.strip()
        ]
        for code in file.name.split("_")[0].split("-")[1:]:
            if code in there:
                there.remove(code)
            elif code in code_of.values():
                expected[file.stem, code] += 1
    found = Counter((row["image"].removesuffix(".png"), code_of[int(row["class_id"])]) for row in rows)
    assert found == expected
    assert len(rows) == 1130 and len({row["image"] for row in rows}) == 847
    assert Counter(p.reason for p in report.problems if "no class" in p.reason) == {
        "the name lists 010224, which has no class": 6
    }


def test_boxes_taken_away_and_changed_are_found(shared: Path) -> None:
    data = shared / "data" / "aihub-labels"
    classes = read_classes(data / "classes.csv")
    labels = read_label_set(data / "labels_raw", names=classes.names)
    before = listing(labels.images, labels.names, AIHUB, classes)
    rng = random.Random(0)
    gone, swapped = rng.sample(range(len(labels.boxes)), 40), []
    ids = labels.boxes.class_id.copy()
    for row in rng.sample(sorted(set(range(len(ids))) - set(gone)), 40):
        listed = before.listed[int(labels.boxes.image_id[row])] or {}
        ids[row] = rng.choice([c for c in classes.names if c not in listed])
        swapped.append((labels.images[int(labels.boxes.image_id[row])], int(labels.boxes.line[row])))
    keep = np.setdiff1d(np.arange(len(ids)), gone)
    image_id, b = labels.boxes.image_id, labels.boxes
    changed = Boxes(b.box_id, image_id, b.line, ids, b.xywhn, b.confidence)[keep]
    report = check(type(labels)(labels.images, changed, labels.names, broken=labels.broken), before)
    assert report.counts["unexpected_class"] == 40
    missing = [r["score"] for r in report.table.to_pylist() if r["issue"] == "missing_box"]
    assert sum(missing) == pytest.approx(1130 + 40)  # a changed box is told once, not as missing too
    wrong = [r for r in report.table.to_pylist() if r["issue"] == "unexpected_class"]
    assert {(r["image"], r["line"]) for r in wrong} == set(swapped)


# --- the command ---


def test_the_command_prints_the_csv_contract(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from healtheat.cli import run

    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / f"K-000001-000002{SETUP}.txt").write_text("0 .5 .5 .1 .1\n", encoding="utf-8")
    (tmp_path / "classes.csv").write_text("class_id,drug_code,name\n0,1,가\n1,2,나\n", encoding="utf-8")
    command = ["contents", str(tmp_path / "labels"), "--classes", str(tmp_path / "classes.csv")]
    assert run([*command, "--format", "csv"]) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith("image,line,class_id,issue,score,class_name,suggestion,reason,signal,")
    assert out[1].startswith(f"K-000001-000002{SETUP}.png,-1,1,missing_box,1.0,나,,")
    assert run([*command, "--fail-over", "0"]) == 1
    assert "나" in capfd.readouterr().out
    assert run([*command, "--limit", "0"]) == 0, "at most no row, as of the other commands"
    shown = capfd.readouterr()
    assert "나" not in shown.out and "0 of 1 shown; --limit 1 shows all" in shown.err
    assert "1 missing box and 0 boxes that the name does not list, on 1 of 1 image; 0 problems" in shown.err
    assert run(command[:2]) == 2
    assert "--classes" in capfd.readouterr().err
    assert run(["contents", str(tmp_path / "nowhere")]) == 2
