"""What is kept is kept byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.cleanup.edits import without_annotations, without_lines

drops = st.sets(st.integers(0, 6))


@given(
    st.lists(st.binary(max_size=8).filter(lambda b: not set(b) & set(b"\r\n")), max_size=6), drops, st.data()
)
def test_lines(bodies: list[bytes], drop: set[int], data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=len(bodies), max_size=len(bodies)))
    lines = [body + end for body, end in zip(bodies, ends, strict=True)]
    if lines and data.draw(st.booleans()) and bodies[-1]:
        lines[-1] = bodies[-1]
    expected = b"".join(line for n, line in enumerate(lines) if n not in drop)
    assert without_lines(b"".join(lines), drop) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(values, max_size=6),
    st.dictionaries(st.text(max_size=4).filter(lambda k: k != "annotations"), values, max_size=3),
    st.dictionaries(st.text(min_size=5, max_size=6), values, max_size=2),
    drops,
    st.sampled_from([None, 0, 1, "\t"]),
    st.booleans(),
)
def test_annotations(
    items: list[Any], before: dict[str, Any], after: dict[str, Any], drop: set[int], indent: Any, ascii_: bool
) -> None:
    document = {**before, "annotations": items, **after}
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_).encode()
    cut = without_annotations(text, drop)
    assert json.loads(cut) == {**document, "annotations": [v for n, v in enumerate(items) if n not in drop]}
    assert without_annotations(text, set()) == text


def test_nothing_else_changes() -> None:
    first, second, third = '{"id": 1.0}', '{"id": 2, "a": [1, [2]]}', '{"id": 3e2}'
    text = f'\ufeff {{ "x" : 1.50, "annotations" :\n[ {first} ,\n  {second}, {third}\n ] , "y": [] }}\n'
    for drop, cut in (({0}, f"{first} ,\n  "), ({1}, f" ,\n  {second}"), ({2}, f", {third}")):
        assert without_annotations(text.encode(), drop).decode() == text.replace(cut, "")


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"annotations": 3}', '{"annotations": [1,]}', '{"annotations": [1]']
)
def test_what_is_no_coco_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        without_annotations(text.encode(), {0})


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        without_annotations(b'{"annotations": [1], "annotations": [2]}', {0})
