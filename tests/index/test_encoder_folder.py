"""An index built with an encoder in a folder: every command that embeds asks for it, and then works."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from healtheat.building.append import add
from healtheat.building.build import build
from healtheat.building.removal import remove
from healtheat.cli import run
from healtheat.core.errors import EncoderError
from healtheat.embedding import load_encoder, registry
from healtheat.findings.choose import as_before, score_again
from healtheat.findings.inputs import Inputs, samples_of
from healtheat.index import Index
from healtheat.index.again import Again
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set

PLACE = np.array([[0.5, 0.5, 0.3, 0.3]])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `encoder`, a `set`, its index in `index`, and `new` labels."""
    folder = tmp_path_factory.mktemp("encoder folder")
    own = Path(registry.__file__).with_name("pill")
    (folder / "encoder").mkdir()
    shutil.copyfile(own / "image.onnx", folder / "encoder" / "image.onnx")
    spec = json.loads((own / "encoder.json").read_text(encoding="utf-8"))
    text = json.dumps({**spec, "name": "mine", "views": [0.0]})
    (folder / "encoder" / "encoder.json").write_text(text, encoding="utf-8")
    write_set(folder / "new", images=3, seed=9)
    data, index = write_set(folder / "set", images=12), folder / "index"
    assert run(["build", str(data), "--index", str(index), "--encoder", given(folder)]) == 0
    return folder


def given(folder: Path) -> str:
    return f"onnx-dir:{folder / 'encoder'}"


def commands(folder: Path) -> dict[str, list[str]]:
    index, new = str(folder / "index"), str(folder / "new" / "data.yaml")
    image = next((folder / "new").rglob("*.png"))
    return {
        "selftest": ["selftest", "--index", index, "--plantings", "1", "--crops", "5", "--kind", "spurious"],
        "similar": ["similar", str(image), "--index", index],
        "vet": ["vet", new, "--against", index, "--to", str(folder / "vetted")],
        "add": ["add", new, "--to", index],
    }


@pytest.mark.parametrize("name", ["selftest", "similar", "vet", "add"])
def test_the_folder_is_given_again(
    built: Path, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(built, tmp_path / "copy"))
    monkeypatch.chdir(tmp_path)
    command = commands(copy)[name]
    assert run(command) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert "encoder mine" in said.err and said.err.rstrip().endswith("with --encoder")
    assert run([*command, "--encoder", given(copy)]) == 0, capfd.readouterr().err


def test_another_encoder_than_that_of_the_index_is_refused(
    built: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*commands(built)["selftest"], "--encoder", "imagenet"]) == 2
    assert "not the one this index was built with" in capfd.readouterr().err


def test_missing_boxes_need_the_encoder(built: Path, tmp_path: Path) -> None:
    with Index.open(built / "index") as index:
        assert as_before(index)[0].missing is False, "without the search none is needed"
        with pytest.raises(EncoderError, match="give it again"):
            as_before(index, Again(missing=True))
        inputs, _ = as_before(index, Again(given(built), missing=True))
        pixels = samples_of(index, inputs.encoder).pixels
        assert pixels is not None
        vectors = pixels.vectors(int(index.images().image_id[0]), PLACE)
        assert vectors is not None and vectors.shape == (1, index.manifest.encoder["dim"])
        alone = samples_of(index).pixels
        assert alone is not None
        with pytest.raises(EncoderError):  # once no class was named, and nobody said why
            alone.vectors(int(index.images().image_id[0]), PLACE)


def test_score_and_remove_search_again_with_the_folder(
    built: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    index, data = tmp_path / "index", open_source(write_set(tmp_path / "data", images=4))
    build(data, index, encoder=load_encoder(given(built)), signals=())
    assert run(["score", "--index", str(index), "--missing"]) == 2
    assert "with --encoder" in capfd.readouterr().err
    assert run(["add", str(built / "new" / "data.yaml"), "--to", str(index), "--encoder", given(built)]) == 0
    score_again(index, missing=True, encoder=given(built))
    assert run(["remove", "new", "--from", str(index)]) == 2
    assert run(["remove", "new", "--from", str(index), "--encoder", given(built)]) == 0


def test_a_build_searches_with_its_own_encoder(tmp_path: Path) -> None:
    """No name is needed where the encoder itself is at hand."""
    encoder, data = FakeEncoder(), open_source(write_set(tmp_path / "data", images=4))
    build(data, tmp_path / "index", encoder=encoder, inputs=Inputs(missing=True))
    more = open_source(write_set(tmp_path / "more", images=2, seed=5))
    report = add(more, tmp_path / "index", encoder=encoder)
    assert report.written and not report.failures
    with pytest.raises(EncoderError, match="give it again"):
        remove("more", tmp_path / "index")
