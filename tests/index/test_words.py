"""What the encoder knows in words lies in the index: no network is loaded, misfits are refused."""

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from healtheat.building.build import build
from healtheat.core.errors import BadIndex
from healtheat.findings.score import rescore
from healtheat.index import Index
from healtheat.signals import samples_from
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set


class Worded(FakeEncoder):
    """Knows two answers to one question."""

    def text_vectors(self, question: str) -> dict[str, NDArray[np.float32]]:
        rows = np.eye(2, self.spec.dim, dtype=np.float32)
        return {"약": rows[0], "background": rows[1]} if question == "pill" else {}

    def _logit_scale(self) -> float:
        return 7.5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    build(open_source(write_set(folder / "set")), folder / "index", encoder=Worded(), signals=())
    return folder / "index"


def test_words_come_back_as_they_were(made: Path) -> None:
    rescore(made)  # copies every table of the build
    with Index.open(made) as index:
        words = index.words()
        assert list(words) == ["pill"] and list(words["pill"]) == ["약", "background"]  # order kept
        for answer, weights in Worded().text_weights("pill").items():
            assert weights.dtype == words["pill"][answer].dtype == np.float32
            assert (words["pill"][answer] == weights).all()
        assert (samples_from(index).texts["pill"]["약"] == words["pill"]["약"]).all()


@pytest.mark.parametrize(
    "change", ["DELETE FROM words WHERE number = 3", "UPDATE words SET weight = 'nan' WHERE number = 3"]
)
def test_words_that_do_not_fit_are_refused(made: Path, tmp_path: Path, change: str) -> None:
    copy = tmp_path / "index"
    shutil.copytree(made, copy)
    with duckdb.connect(str(copy / "catalog.duckdb")) as catalog:
        catalog.execute(change)
    with (
        Index.open(copy, verify=False) as index,
        pytest.raises(BadIndex, match=r"words(: pill|, weight)"),
    ):
        index.words()
