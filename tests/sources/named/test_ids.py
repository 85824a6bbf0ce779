"""Ids of classes that labels know by name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.sources.named.ids import ClassIds, choose_ids, unique_labels


def test_what_chooses_the_ids(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("나\n가\n", encoding="utf-8")
    labels = ["b", "a", "b"]
    assert choose_ids(labels, names, {5: "a"}, "a.xml").names == {0: "나", 1: "가"}
    declared = choose_ids(labels, None, {5: "a"}, "a.xml")
    assert (declared.names, declared.told_by) == ({5: "a"}, "the labels of a.xml")
    assert choose_ids(labels, None, {}).names == {0: "a", 1: "b"}


def test_a_name_of_two_ids_means_neither_but_its_label_does() -> None:
    lookup = ClassIds({0: "advil", 3: "advil", 7: " x ", 9: "x"}, "").lookup()
    assert lookup["advil"] == (0, 3)
    assert (lookup["advil (0)"], lookup["advil (3)"]) == ((0,), (3,))
    assert (lookup[" x "], lookup["x"]) == ((7,), (9,))  # what is written exactly so comes first


@given(st.dictionaries(st.integers(0, 9), st.text("ab ()0", max_size=5)))
def test_every_label_of_a_hand_off_leads_back(names: dict[int, str]) -> None:
    lookup = ClassIds(names, "").lookup()
    written = {name.strip() for name in names.values()}
    for ident, label in unique_labels(names).items():
        if label not in written:
            assert lookup[label] == (ident,)


@pytest.mark.parametrize("labels", [["가", "b", "A"], ["A", "가", "b", "b"]])
def test_sorted_names_are_the_same_from_run_to_run(labels: list[str]) -> None:
    assert choose_ids(labels, None, None).names == {0: "A", 1: "b", 2: "가"}
