"""`search` against a slow obvious loop, over arrays and over an opened index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healtheat.building.build import build
from healtheat.core.errors import BadIndex
from healtheat.index import Index
from healtheat.index.search import ArrayStore, IndexStore, search
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set


def slow(queries, vectors, shard, group_of, k, classes, group, own):
    """Ids of the k best rows of each query, one at a time; equal similarities by id."""
    answers = []
    for q, query in enumerate(queries):
        found = [
            (-round(float(query @ vectors[i]), 5), i)
            for i in range(len(vectors))
            if (classes is None or shard[i] in classes)
            and (group is None or group_of[i] != group[q])
            and (own is None or own[q] != i)
        ]
        answers.append([i for _, i in sorted(found)[:k]])
    return answers


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 6), st.integers(1, 12), st.integers(1, 9),
    st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip
def test_search_is_the_loop(seed, n, classes, groups, k, leave_group, leave_own, some_classes) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shard, group_of = rng.integers(0, classes, n), rng.integers(0, groups, n).astype(np.int32)
    q = min(n, 7)
    queries = vectors[:q]
    group, own = (group_of[:q] if leave_group else None), (np.arange(q) if leave_own else None)
    asked = sorted(set(shard[::2].tolist())) if some_classes else None
    found = search(
        queries, ArrayStore(vectors, group_of, shard), k=k, classes=asked, group=group, own_ids=own
    )
    for row, wanted in enumerate(slow(queries, vectors, shard, group_of, k, asked, group, own)):
        ids = found.ids[row][found.ids[row] >= 0]
        assert len(ids) == len(wanted)
        # The order of answers that differ by rounding alone is not promised: compare what they are worth.
        np.testing.assert_allclose(vectors[ids] @ queries[row], vectors[wanted] @ queries[row], atol=2e-5)
        np.testing.assert_allclose(found.similarity[row][: len(ids)], vectors[ids] @ queries[row], atol=1e-5)
        assert len(set(ids.tolist())) == len(ids)
        assert asked is None or set(shard[ids]) <= set(asked)
        assert group is None or not (group_of[ids] == group[row]).any()
        assert own is None or own[row] not in ids
    assert (found.similarity[found.ids < 0] == -1).all()


def test_equal_similarities_go_to_the_lower_id() -> None:
    vectors = np.tile(np.array([[0.6, 0.8]], np.float32), (6, 1))
    store = ArrayStore(vectors, np.zeros(6, np.int32), np.array([1, 0, 1, 0, 1, 0]))
    found = search(vectors[:1], store, k=6)
    assert found.ids.tolist() == [[0, 1, 2, 3, 4, 5]]


def test_wrong_dimensions_and_unknown_classes_are_refused() -> None:
    store = ArrayStore(np.ones((2, 3), np.float32), np.zeros(2, np.int32))
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        search(np.ones((1, 4), np.float32), store, k=1)
    with pytest.raises(KeyError):
        search(np.ones((1, 3), np.float32), store, k=1, classes=[7])
    with pytest.raises(ValueError, match="group"):
        ArrayStore(np.ones((2, 3), np.float32), np.zeros(3, np.int32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("search")
    data = write_set(root / "set")
    build(open_source(data), root / "index", encoder=FakeEncoder())
    return root / "index"


def test_the_shards_of_an_index_answer_as_its_vectors_do(folder: Path) -> None:
    with Index.open(folder) as index:
        boxes, store = index.boxes(), IndexStore(index)
        vectors = index.vectors(boxes.box_id)
        group_of = store.groups(boxes.box_id)
        queries = vectors[::3]
        found = search(queries, store, k=5, group=group_of[::3], own_ids=boxes.box_id[::3])
        wanted = slow(queries, vectors, boxes.class_id, group_of, 5, None, group_of[::3], boxes.box_id[::3])
        for row, ids in enumerate(wanted):
            np.testing.assert_allclose(found.similarity[row], vectors[ids] @ queries[row], atol=1e-5)
        only = int(boxes.class_id[0])
        near = search(queries, store, k=3, classes=[only])
        assert set(boxes.class_id[near.ids[near.ids >= 0]].tolist()) == {only}


def test_a_replaced_index_is_refused_at_the_next_shard(folder: Path, tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", images=4)
    where = tmp_path / "index"
    build(open_source(data), where, encoder=FakeEncoder())
    with Index.open(where) as index:
        ids = index.boxes().box_id
        index.vectors(ids)
        label = sorted((tmp_path / "set").rglob("labels/**/*.txt"))[0]
        label.write_text(label.read_text(encoding="utf-8") + "7 0.5 0.5 0.2 0.2\n", encoding="utf-8")
        build(open_source(data), where, encoder=FakeEncoder())
        with pytest.raises(BadIndex, match="built again since it was opened"):
            index.vectors(ids)
        with pytest.raises(BadIndex, match="built again since it was opened"):
            search(np.ones((1, index.manifest.dim), np.float32), IndexStore(index), k=1)
