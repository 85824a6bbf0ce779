"""Trust and self-test over a built index: crops as the build cut them, nothing on disk changed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from healtheat.building.build import build
from healtheat.cli import run
from healtheat.core.errors import EncoderError
from healtheat.index import Index
from healtheat.planting import IndexCrops, encoder_of, selftest
from healtheat.signals import samples_from
from healtheat.sources import open_source
from tests.index.small_set import FakeEncoder, write_set


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set in `set` and its index in `index`."""
    folder = tmp_path_factory.mktemp("selftest")
    data = write_set(folder / "set", images=24)
    build(open_source(data), folder / "index", encoder=FakeEncoder(), signals=())
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_new_crops_are_made_as_the_build_made_them(made: Path) -> None:
    with Index.open(made / "index") as index:
        crops = IndexCrops(index, FakeEncoder())
        samples = samples_from(index)
        for place in (0, 5, 11):
            rows = np.flatnonzero(samples.image_row == place)
            answer = crops(place, samples.boxes.xywhn[rows], samples.boxes.corners[rows])
            assert answer is not None
            assert (answer[0] == samples.vectors[rows]).all()
            assert (answer[1]["dhash"] == samples.measures["dhash"][rows]).all()
        assert crops.unread == 0


def test_a_selftest_changes_no_file(made: Path) -> None:
    before = hashes(made)
    with Index.open(made / "index") as index:
        report = selftest(samples_from(index), IndexCrops(index, FakeEncoder()), plantings=1, rate=0.1)
    assert {r.kind for r in report.results} == {"flips", "confuse", "boxes", "spurious", "duplicate"}
    assert not report.failures
    assert hashes(made) == before


def test_an_image_that_changed_is_left_out(tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", images=6)
    build(open_source(data), tmp_path / "index", encoder=FakeEncoder(), signals=())
    for number, file in enumerate(sorted((tmp_path / "set").rglob("*.png"))):
        if number == 0:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes() + b"\0")
    with Index.open(tmp_path / "index") as index:
        crops = IndexCrops(index, FakeEncoder())
        report = selftest(samples_from(index), crops, kinds=["spurious"], plantings=1)
    assert report.results == () and "spurious" in report.skipped and crops.unread >= 1


def test_an_encoder_that_is_not_here_is_an_error(made: Path) -> None:
    with Index.open(made / "index") as index, pytest.raises(EncoderError):
        encoder_of(index)


def test_the_commands_print_tables_and_json(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    where = ["--index", str(made / "index")]
    assert run(["trust", *where]) == 0
    assert "agreement" in capfd.readouterr().out
    assert run(["trust", *where, "--format", "json"]) == 0
    trust = json.loads(capfd.readouterr().out)
    assert {c["class_id"] for c in trust["classes"]} == {0, 3, 7}
    assert {c["name"] for c in trust["classes"]} >= {"타이레놀정500mg"}
    quick = ["selftest", *where, "--crops", "0", "--plantings", "1", "--kind", "flips", "--kind", "boxes"]
    assert run([*quick, "--format", "json"]) == 0
    captured = capfd.readouterr()
    assert [r["kind"] for r in json.loads(captured.out)["results"]] == ["flips"]
    assert "boxes: not tested" in captured.err
    assert run(quick) == 0
    assert "flips" in capfd.readouterr().out
    assert run(["selftest", *where, "--kind", "typo", "--crops", "0"]) == 2
    assert "typo" in capfd.readouterr().err
