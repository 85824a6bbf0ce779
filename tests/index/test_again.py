"""Nothing that an index names is run or opened: not its expressions, its files, nor its encoder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from healtheat.building.append import add
from healtheat.building.build import build
from healtheat.core.errors import BadIndex, EncoderError, InputError
from healtheat.findings.choose import as_before
from healtheat.index import Index
from healtheat.index.again import Again, group_rule_of
from healtheat.index.encoder import encoder_of
from healtheat.sources import open_source
from tests.hostile.forged import forge, sign
from tests.index.small_set import FakeEncoder, write_set

SLOW = "^(a|aa)+$"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("again")
    build(open_source(write_set(folder / "data", images=4)), folder / "index", encoder=FakeEncoder())
    return folder / "index"


@pytest.fixture
def built(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


def settings(index: Path, signal: str, **values: Any) -> None:
    forge(index, f"UPDATE runs SET settings = '{json.dumps(values)}' WHERE signal = '{signal}'")


@pytest.mark.parametrize(
    ("kept", "option"),
    [
        ({"rule": SLOW}, "contents_rule"),
        ({"rule": "x.csv"}, "contents_rule"),
        ({"rule": "aihub", "classes": "/dev/zero"}, "classes"),
    ],
)
def test_a_rule_of_the_index_is_not_run(built: Path, kept: dict[str, str], option: str) -> None:
    settings(built, "contents", **kept)
    with Index.open(built) as index:
        with pytest.raises(InputError, match=f"run or opened unasked; give {option} or contents_rule='auto'"):
            as_before(index)
        assert as_before(index, Again(contents_rule="auto"))[0].contents.rule == "auto"
    with pytest.raises(InputError, match="unasked"):
        add(open_source(write_set(built.parent / "more", images=2, seed=5)), built, encoder=FakeEncoder())


def test_predictions_of_the_index_are_not_opened(built: Path) -> None:
    forge(
        built,
        "INSERT INTO runs SELECT max(run_id) + 1, 'signal', 'agreement', '', 0, 'ok', NULL, NULL, "
        '\'{"predictions": "/dev"}\' FROM runs',
    )
    with Index.open(built) as index:
        with pytest.raises(InputError, match=r"give predictions or predictions='none'"):
            as_before(index)
        assert as_before(index, Again(predictions="none"))[0].predictions is None


def test_weights_of_the_index_are_not_loaded(built: Path) -> None:
    forge(
        built,
        "INSERT INTO runs SELECT max(run_id) + 1, 'signal', 'overlooked', '', 0, 'ok', NULL, NULL, "
        '\'{"proposals": "/dev/sam_b.pt"}\' FROM runs',
    )
    fake = FakeEncoder()
    with Index.open(built) as index:
        with pytest.raises(InputError, match=r"give proposals or proposals='none'"):
            as_before(index, encoder=fake)
        assert as_before(index, Again(proposals="none"), fake)[0].proposals is None
        assert as_before(index, Again(missing=False), fake)[0].missing is False, "without the search none"
        with pytest.raises(InputError, match=r"x\.pt: weights not found"):
            as_before(index, Again(proposals="x.pt"), fake)
        with pytest.raises(InputError, match="only for the search for missing boxes; give missing=True"):
            as_before(index, Again(proposals="x.pt", missing=False), fake)


@pytest.mark.parametrize("kept", ["[]", "7", "no JSON", "[" * 5000, '{"rule": 7}', '{"rule": ["auto"]}'])
def test_settings_that_are_none_are_bad_index(built: Path, kept: str) -> None:
    forge(built, f"UPDATE runs SET settings = '{kept}' WHERE signal = 'contents'")
    with Index.open(built) as index, pytest.raises(BadIndex, match="contents"):
        as_before(index)


@pytest.mark.parametrize(
    "kept",
    [{}, {"findings": 3}, {"findings": {"fdr": 7}}, {"findings": {"thresholds": {"mislabel": "x"}}}],
)
def test_thresholds_of_the_index_are_checked(built: Path, kept: dict[str, Any]) -> None:
    sign(built, lambda body: body["settings"].update({"findings": None, **kept}))
    with Index.open(built) as index, pytest.raises(BadIndex, match=r"settings\.findings"):
        as_before(index)


def test_an_expression_for_groups_is_given_again(built: Path) -> None:
    with Index.open(built) as index:
        assert group_rule_of(index) == group_rule_of(index, "auto") == "auto"
        with pytest.raises(InputError, match="was built with 'auto'"):
            group_rule_of(index, SLOW)
    sign(built, lambda body: body["settings"].update(group_rule=SLOW))
    with Index.open(built) as index:
        with pytest.raises(InputError, match="none that is kept in an index is run unasked"):
            group_rule_of(index)
        assert group_rule_of(index, SLOW) == SLOW
    for wrong in (None, 7, ""):
        sign(built, lambda body, wrong=wrong: body["settings"].update(group_rule=wrong))  # type: ignore[misc]
        with Index.open(built) as index, pytest.raises(BadIndex, match="group_rule"):
            group_rule_of(index)


@pytest.mark.parametrize("name", ["onnx-dir:/dev", "local-dir:/proc", "hf-hub:some/where", "fake"])
def test_an_encoder_of_the_index_is_not_loaded(built: Path, name: str) -> None:
    sign(built, lambda body: body["encoder"].update(name=name))
    with Index.open(built) as index:
        with pytest.raises(EncoderError, match="give it again, as it was given to the build, with encoder"):
            encoder_of(index)
        with pytest.raises(EncoderError, match="not the one this index was built with"):
            encoder_of(index, "pill")
