"""`--encoder auto`: the better encoder is taken, once, and nothing is embedded twice."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from healtheat.building.auto import Auto, encoder_of_word
from healtheat.building.build import BuildReport, build
from healtheat.building.nearest import neighbours_elsewhere, paired_interval, shared_class
from healtheat.building.sampling import sample_images
from healtheat.core.boxes import Boxes
from healtheat.core.errors import EncoderError, InputError
from healtheat.embedding import load_encoder
from healtheat.findings.flag import FindingSettings
from healtheat.findings.score import update_findings
from healtheat.index import Index
from healtheat.index.choice import EncoderChoice
from healtheat.sources.base import LabelledImage
from healtheat.sources.once import ReadOnce
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import FakeEncoder, tables, write_set


class Blind(FakeEncoder):
    """Sees nothing: its vectors are noise of the crop's bytes."""

    def __init__(self) -> None:
        super().__init__(dim=9)

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows = [np.random.default_rng(zlib.crc32(crop.tobytes())).normal(size=9) for crop in batch]
        return np.array(rows, np.float32)


class Two:
    """Two encoders, and how many crops each was given."""

    def __init__(self, **named: FakeEncoder) -> None:
        self.named = named
        for name, encoder in named.items():
            encoder.spec = encoder.spec.model_copy(update={"name": name})

    @property
    def auto(self) -> Auto:
        return Auto(tuple(self.named), self.named.__getitem__)

    def seen(self) -> dict[str, int]:
        return {name: encoder.crops_seen for name, encoder in self.named.items()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """108 boxes of three classes on 36 images."""
    return write_set(tmp_path / "data", images=36)


def run(data: Path, index: Path, two: Two, **more: object) -> BuildReport:
    return build(YoloSource(data), index, encoder=two.auto, signals=(), **more)  # type: ignore[arg-type]


def test_the_better_one_is_taken_and_the_figures_are_kept(data: Path, tmp_path: Path) -> None:
    two = Two(blind=Blind(), seeing=FakeEncoder())
    report = run(data, tmp_path / "index", two)
    assert report.encoder == "seeing" and report.choice is not None
    with Index.open(tmp_path / "index") as index:
        assert index.manifest.encoder["name"] == "seeing"
        choice = index.manifest.encoder_choice
    assert choice == report.choice
    blind, seeing = choice.figures
    assert (choice.chosen, choice.why, choice.boxes, choice.sources) == ("seeing", "better", 108, 36)
    assert seeing.agreement > 0.9 > blind.agreement and seeing.low > 0
    assert (blind.low, blind.high) == (0, 0)
    assert seeing.low <= seeing.agreement - blind.agreement <= seeing.high
    assert str(choice).startswith(f"encoder seeing: {seeing.agreement:.1%}")


def test_nothing_is_embedded_twice(data: Path, tmp_path: Path) -> None:
    two = Two(blind=Blind(), seeing=FakeEncoder())
    report = run(data, tmp_path / "index", two)
    assert two.seen() == {"blind": 108, "seeing": report.boxes + report.background}
    assert report.embedded == two.seen()["seeing"] and report.reused == 0
    before = tables(tmp_path / "index")
    again = Two(blind=Blind(), seeing=FakeEncoder())
    report = run(data, tmp_path / "index", again)
    assert again.seen() == {"blind": 0, "seeing": 0} and report.embedded == 0
    assert tables(tmp_path / "index") == before
    assert report.choice is not None and report.choice.chosen == "seeing"
    named = build(
        YoloSource(data), tmp_path / "named", encoder=Two(seeing=FakeEncoder()).named["seeing"], signals=()
    )
    assert named.encoder == "seeing" and named.choice == EncoderChoice.unasked("seeing", "named")
    assert str(named.choice).startswith("encoder seeing: named by the user")
    with Index.open(tmp_path / "named") as one, Index.open(tmp_path / "index") as other:
        ids = one.boxes().box_id
        assert np.array_equal(one.vectors(ids), other.vectors(ids))


def test_a_named_encoder_or_other_candidates_ask_anew(data: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    run(data, index, Two(blind=Blind(), seeing=FakeEncoder()))
    build(YoloSource(data), index, encoder=FakeEncoder(), signals=())  # named: the choice is gone
    with Index.open(index) as opened:
        choice = opened.manifest.encoder_choice
        assert choice is not None and (choice.why, choice.figures) == ("named", [])
    two = Two(blind=Blind(), seeing=FakeEncoder())
    assert run(data, index, two).encoder == "seeing"
    assert two.seen() == {"blind": 108, "seeing": 0}  # the index had the vectors of the other
    wider = Two(blind=Blind(), seeing=FakeEncoder())
    assert run(data, index, wider, padding=0.3).encoder == "seeing"
    assert min(wider.seen().values()) >= 108
    other = Two(blind=Blind(), seeing=FakeEncoder(dim=15))
    run(data, index, other, padding=0.3)
    assert other.seen()["seeing"] > 0


def test_scoring_again_keeps_the_choice(data: Path, tmp_path: Path) -> None:
    report = run(data, tmp_path / "index", Two(blind=Blind(), seeing=FakeEncoder()))
    update_findings(tmp_path / "index", FindingSettings())
    with Index.open(tmp_path / "index") as index:
        assert index.manifest.encoder_choice == report.choice


def test_what_cannot_be_told_apart_leaves_the_default(data: Path, tmp_path: Path) -> None:
    report = run(data, tmp_path / "index", Two(one=FakeEncoder(), other=FakeEncoder(dim=13)))
    assert report.encoder == "one" and report.choice is not None
    assert report.choice.why == "default" and report.choice.figures[1].low <= 0


def test_a_default_that_is_clearly_better_is_called_so(data: Path, tmp_path: Path) -> None:
    report = run(data, tmp_path / "index", Two(seeing=FakeEncoder(), blind=Blind()))
    assert report.encoder == "seeing"
    assert report.choice.why == "better" and report.choice.figures[1].high < 0


def test_too_few_boxes_leave_the_default_and_embed_no_sample(tmp_path: Path) -> None:
    two = Two(blind=Blind(), seeing=FakeEncoder())
    report = run(write_set(tmp_path / "few", images=6), tmp_path / "index", two)
    assert report.encoder == "blind" and two.seen()["seeing"] == 0
    assert report.choice == EncoderChoice.unasked("blind", "few")
    assert "too few" in str(report.choice)


def test_a_killed_build_goes_on_without_embedding_the_sample_again(data: Path, tmp_path: Path) -> None:
    class Dying(FakeEncoder):
        def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            if self.crops_seen >= 112:
                raise KeyboardInterrupt
            return super().encode(crops)

    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "index", Two(blind=Blind(), seeing=Dying()))
    two = Two(blind=Blind(), seeing=FakeEncoder())
    report = run(data, tmp_path / "index", two)
    assert two.seen() == {"blind": 0, "seeing": report.boxes + report.background - 112}
    run(data, tmp_path / "whole", Two(blind=Blind(), seeing=FakeEncoder()))
    assert tables(tmp_path / "index") == tables(tmp_path / "whole")


def test_images_that_cannot_be_read_are_left_out_and_told_once(data: Path, tmp_path: Path) -> None:
    (data.parent / "train" / "images" / "사진 05.png").write_bytes(b"no image")
    report = run(data, tmp_path / "index", Two(blind=Blind(), seeing=FakeEncoder()))
    assert report.choice is not None and report.choice.boxes == 105 and len(report.problems) == 1


def test_strict_embeds_nothing_of_what_has_problems(data: Path, tmp_path: Path) -> None:
    label = data.parent / "train" / "labels" / "사진 05.txt"
    label.write_text("no box\n", encoding="utf-8")
    two = Two(blind=Blind(), seeing=FakeEncoder())
    with pytest.raises(InputError, match="strict"):
        run(data, tmp_path / "index", two, strict=True)
    assert two.seen()["seeing"] == 0


def image(path: str, class_ids: list[int]) -> LabelledImage:
    n = len(class_ids)
    boxes = Boxes.of(range(n), class_ids, [[0.5, 0.5, 0.1, 0.1 + 0.01 * row] for row in range(n)])
    return LabelledImage(path, Path(path), "", "labelled", "", boxes)


def counts(sample: list[LabelledImage]) -> dict[int, int]:
    ids = np.concatenate([one.boxes.class_id for one in sample])
    return dict(zip(*(part.tolist() for part in np.unique(ids, return_counts=True)), strict=True))


def test_the_sample_is_balanced_and_one_image_of_a_source() -> None:
    images = [image(f"{source}.rf.{copy}.jpg", [0, 0, 0, 1]) for source in range(40) for copy in range(3)]
    images += [image(f"r{source}.jpg", [2]) for source in range(4)] + [image("alone.jpg", [3, 3, 3, 3])]
    sample = sample_images(images, "auto", 60)
    assert counts(sample) == {0: 28, 1: 28, 2: 4}  # class 3 is on one source
    assert len({one.path.split(".")[0] for one in sample}) == len(sample)
    backwards = sample_images(images[::-1], "auto", 60)
    assert [one.path for one in backwards] == [one.path for one in sample]


def test_many_classes_are_sampled_whole() -> None:
    images = [image(f"{number}.jpg", [number % 50, (number * 7 + 1) % 50]) for number in range(1000)]
    found = counts(sample_images(images, "none", 120))
    assert set(found.values()) == {6} and len(found) == 20


def test_nothing_to_compare_is_no_sample() -> None:
    assert sample_images([], "auto", 100) == []
    assert sample_images([image(f"{n}.jpg", [0]) for n in range(50)], "auto", 100) == []
    two = [image("a.jpg", [0, 1]), image("b.jpg", [0, 1]), image("c.jpg", [5])]
    assert counts(sample_images(two, "auto", 100)) == {0: 2, 1: 2}


def test_shared_class_never_counts_the_own_source() -> None:
    vectors = np.array([[1, 0], [1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
    code, group = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 3], np.int32)
    assert neighbours_elsewhere(code, group).tolist() == [1, 1, 2, 1, 1]
    assert shared_class(vectors, code, group).tolist() == [1, 1, 0.5, 0, 1]
    assert neighbours_elsewhere(np.zeros(0, np.int64), np.zeros(0, np.int32)).tolist() == []


def test_the_interval_counts_sources_and_not_boxes() -> None:
    random = np.random.default_rng(0)
    by_source = random.normal(0.1, 0.3, 50)
    group = np.repeat(np.arange(50), 8).astype(np.int32)
    low, high = paired_interval(by_source[group], group)
    once = paired_interval(by_source, np.arange(50, dtype=np.int32))
    assert np.allclose((low, high), once) and low < by_source.mean() < high
    assert paired_interval(np.ones(5), np.zeros(5, np.int32)) == (-1, 1)


def test_intervals_cover() -> None:
    random = np.random.default_rng(1)
    group = np.repeat(np.arange(30), 4).astype(np.int32)
    hit = 0
    for _ in range(400):
        drawn = random.normal(0, 0.2, 30)[group] + random.normal(0, 0.2, 120)
        low, high = paired_interval(np.clip(drawn, -1, 1), group)
        hit += low <= 0 <= high
    assert 0.92 < hit / 400 < 0.98


def test_read_once_goes_through_the_source_once(data: Path) -> None:
    source = YoloSource(data)
    once = ReadOnce(source)
    assert [r.path for r in once.read() if isinstance(r, LabelledImage)] == [
        r.path for r in source.read() if isinstance(r, LabelledImage)
    ]
    assert (once.kind, once.edits, once.root, once.data, once.names) == (
        source.kind, source.edits, source.root, source.data, source.names,
    )  # fmt: skip
    (data.parent / "train" / "labels" / "사진 05.txt").unlink()
    assert len(list(once.read())) == len(list(once.read()))


def test_auto_is_a_word_of_builds_alone() -> None:
    found = encoder_of_word("auto", views=(0.0,))
    assert isinstance(found, Auto) and found.names == ("pill", "imagenet")
    assert found.load("pill").spec.views == (0.0,)
    with pytest.raises(EncoderError, match="only a build"):
        load_encoder("auto")


def test_the_command_says_which_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from healtheat.cli import run as command

    data = write_set(tmp_path / "data")
    assert command(["build", str(data), "--index", str(tmp_path / "index"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["encoder"] == summary["choice"]["chosen"] and len(summary["choice"]["figures"]) == 2
    assert command(["build", str(data), "--index", str(tmp_path / "index")]) == 0
    out = capsys.readouterr().out
    assert f"encoder {summary['encoder']}: {summary['choice']['figures'][0]['agreement']:.1%}" in out
    assert command(["build", str(data), "--index", str(tmp_path / "index"), "--encoder", "imagenet"]) == 0
    assert "\nencoder imagenet: named by the user" in capsys.readouterr().out


def test_one_image_in_many_files_is_one_source(tmp_path: Path) -> None:
    data = write_set(tmp_path / "same", images=20, boxes=2)
    for file in (data.parent / "train" / "images").iterdir():
        Image.new("RGB", (80, 60), "red").save(file)
    report = run(data, tmp_path / "index", Two(blind=Blind(), seeing=FakeEncoder()))
    assert report.encoder == "blind"
