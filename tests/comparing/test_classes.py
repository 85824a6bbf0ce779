"""By id or by name: what is plain, what is said, and what is refused."""

import pytest

from healtheat.comparing.classes import match_classes
from healtheat.core.errors import InputError

OLD = {0: "advil", 3: "정", 7: "altoid"}


def test_equal_names_are_matched_by_id() -> None:
    found = match_classes(OLD, OLD, "auto")
    assert (found.by, found.notes) == ("id", ())
    assert [found.old_id(i) for i in (0, 3, 7, 9)] == [0, 3, 7, 9]
    assert match_classes(OLD, {**OLD, 9: "more"}, "auto").by == "id"


def test_another_order_is_matched_by_name_and_said() -> None:
    found = match_classes(OLD, {0: "정", 1: "advil", 2: "altoid", 3: "new one"}, "auto")
    assert found.by == "name"
    assert [found.old_id(i) for i in (0, 1, 2)] == [3, 0, 7]
    assert found.old_id(3) < 0  # the old class 3 is another one
    assert found.notes[0].startswith("classes are matched by name: 3 of them have another id")
    assert "new one" in found.notes[1]


def test_unused_classes_that_a_tool_left_out() -> None:
    found = match_classes({0: "a", 1: "b", 2: "c"}, {0: "b", 1: "c"}, "auto")
    assert (found.by, found.old_id(0), found.old_id(1)) == ("name", 1, 2)


def test_one_new_name_among_others_is_a_rename_and_said() -> None:
    found = match_classes(OLD, {**OLD, 7: "altoids"}, "auto")
    assert found.by == "id" and found.old_id(7) == 7
    assert found.notes == ("class 7 is called 'altoids', 'altoid' before",)


@pytest.mark.parametrize(
    "new",
    [
        {0: "one", 3: "two", 7: "three"},  # no name is left
        {0: "정", 3: "advil", 7: "another"},  # two exchanged and one renamed
    ],
)
def test_what_could_be_either_is_refused(new: dict[int, str]) -> None:
    with pytest.raises(InputError, match="say classes='by-id' or classes='by-name'"):
        match_classes(OLD, new, "auto")
    assert match_classes(OLD, new, "by-id").old_id(0) == 0
    assert match_classes(OLD, new, "by-name").by == "name"


def test_a_name_given_twice() -> None:
    old = {0: "advil", 3: "advil", 7: "b"}
    assert match_classes(old, old, "auto").by == "id"
    found = match_classes(old, {0: "advil (3)", 1: "advil (0)", 2: "b"}, "auto")  # as hand-offs call them
    assert [found.old_id(i) for i in (0, 1, 2)] == [3, 0, 7]
    with pytest.raises(InputError, match="given twice"):
        match_classes(OLD, {0: "정", 1: "정"}, "by-name")
    with pytest.raises(InputError, match="given twice"):
        match_classes(old, {1: "advil", 0: "b"}, "by-name")


def test_without_names_ids_decide() -> None:
    found = match_classes(OLD, {}, "auto", named=False)
    assert found.by == "id" and found.notes
    with pytest.raises(InputError, match="no class names"):
        match_classes(OLD, {}, "by-name", named=False)
