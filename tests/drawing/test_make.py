"""The demo set on disk: complete, deterministic, and careful with what was there before."""

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageOps

from healtheat.core.errors import InputError
from healtheat.drawing import PRODUCTS, DemoSet, make_demo
from healtheat.drawing.make import MARKER
from healtheat.drawing.plan import Scene
from healtheat.drawing.render import Rendered, encode

ROOT = Path(__file__).resolve().parents[2]


def digest(root: Path) -> dict[str, str]:
    return {
        p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; from healtheat.drawing import make, make_demo\n"
        "make.PARALLEL_FROM = 2\n"
        "if __name__ == '__main__': make_demo(sys.argv[1], seed=3, images=12, workers=int(sys.argv[2]))"
    )
    script = tmp_path / "run.py"
    script.write_text(code, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name, workers in (("one", "1"), ("two", "2")):
        subprocess.run([sys.executable, str(script), str(tmp_path / name), workers], check=True, env=env)
    one, two = digest(tmp_path / "one"), digest(tmp_path / "two")
    assert one == two
    assert len(one) > 30


def test_another_seed_makes_another_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healtheat.drawing.make.render", quick)
    a = make_demo(tmp_path / "a", seed=1, images=12, workers=1)
    b = make_demo(tmp_path / "b", seed=2, images=12, workers=1)
    assert a.truth != b.truth
    assert set(digest(a.root / "images")) != set(digest(b.root / "images"))


@pytest.mark.slow
def test_workers_that_cannot_start_are_done_without(tmp_path: Path) -> None:
    # A program read from standard input has no file that a new process could import.
    code = (
        "from healtheat.drawing import make, make_demo\nmake.PARALLEL_FROM = 2\n"
        f"make_demo({str(tmp_path / 'set')!r}, images=12, workers=2)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-"], input=code.encode(), check=True, env=env, stderr=subprocess.DEVNULL)
    assert (tmp_path / "set" / MARKER).is_file()


def test_data_yaml_keeps_sparse_ids_and_korean_names(demo: DemoSet) -> None:
    spec = yaml.safe_load(demo.data_yaml.read_text(encoding="utf-8"))
    assert spec["names"] == {p.code - 1: p.name for p in PRODUCTS}
    assert list(spec["names"]) == sorted(spec["names"])
    assert (demo.root / spec["train"]).is_dir() and (demo.root / spec["val"]).is_dir()
    lines = (demo.root / "classes.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == [
        f"{p.class_id},{p.code:06d},{p.name}" for p in sorted(PRODUCTS, key=lambda p: p.code)
    ]


def test_catalogue_has_look_alike_groups_and_unique_names() -> None:
    assert len(PRODUCTS) >= 30
    assert len({p.code for p in PRODUCTS}) == len({p.name for p in PRODUCTS}) == len(PRODUCTS)
    groups = [p.group for p in PRODUCTS if p.group]
    assert all(groups.count(g) >= 2 for g in groups) and len(set(groups)) >= 5


def test_images_are_upright_and_of_one_size(demo: DemoSet) -> None:
    truncated = {t.image for t in demo.truth if t.kind == "truncated_image"}
    formats = set()
    turned = 0
    for path in sorted((demo.root / "images").rglob("*.*")):
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            formats.add(image.format)
            turned += image.size == (1280, 976)
            if path.relative_to(demo.root).as_posix() not in truncated:
                assert ImageOps.exif_transpose(image).size == (976, 1280)
    assert formats == {"JPEG", "PNG"} and turned == 1


def test_it_counts_what_it_wrote(demo: DemoSet) -> None:
    assert demo.images == 48 + 2 + sum(t.kind == "duplicate_image" for t in demo.truth)
    assert 120 < demo.boxes < 210
    assert not demo.reused


def test_progress_reaches_the_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healtheat.drawing.make.render", quick)
    seen: list[tuple[str, int, int | None]] = []
    make_demo(tmp_path / "set", images=12, workers=1, progress=lambda *step: seen.append(step))
    assert seen[0] == ("draw", 0, 14) and seen[-1] == ("draw", 14, 14)


def quick(scene: Scene) -> Rendered:
    """A stand-in for the renderer where only the folder matters: a grey image, boxes of one size."""
    boxes = [(int(p.x_px) - 40, int(p.y_px) - 40, int(p.x_px) + 40, int(p.y_px) + 40) for p in scene.pills]
    grey = Image.new("RGB", (976, 1280), (scene.index, 99, 99))
    return Rendered(encode(grey, scene.encoding), np.array(boxes, np.int64).reshape(-1, 4))


class TestTarget:
    @pytest.fixture(autouse=True)
    def quick_images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("healtheat.drawing.make.render", quick)

    @pytest.fixture
    def small(self, tmp_path: Path) -> DemoSet:
        return make_demo(tmp_path / "set", images=12, workers=1)

    def test_an_untouched_set_is_used_again(self, small: DemoSet) -> None:
        before = digest(small.root)
        again = make_demo(small.root, images=12, workers=1)
        assert again.reused and again.truth == small.truth and digest(small.root) == before

    def test_another_seed_replaces_an_untouched_set(self, small: DemoSet) -> None:
        again = make_demo(small.root, seed=9, images=12, workers=1)
        assert not again.reused and again.truth != small.truth
        assert sorted(p.name for p in small.root.parent.iterdir()) == ["set"]

    def test_an_edited_label_is_not_thrown_away(self, small: DemoSet) -> None:
        label = next((small.root / "labels" / "train").glob("K-*.txt"))
        label.write_text("1 0.5 0.5 0.1 0.1\n", encoding="utf-8")
        with pytest.raises(InputError, match="was changed since"):
            make_demo(small.root, seed=9, images=12)
        assert label.read_text(encoding="utf-8") == "1 0.5 0.5 0.1 0.1\n"

    def test_an_added_file_is_not_thrown_away(self, small: DemoSet) -> None:
        (small.root / "notes.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(InputError, match=r"notes\.txt: is not part of the demo set"):
            make_demo(small.root, seed=9, images=12)
        assert (small.root / "notes.txt").is_file()

    def test_a_foreign_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
        with pytest.raises(InputError, match="not a demo set"):
            make_demo(tmp_path, images=12)
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]

    @pytest.mark.parametrize("marker", ["", "[]", "{}", '{"files": 3}', '{"files": {}, "settings": null}'])
    def test_a_broken_marker_is_refused(self, tmp_path: Path, marker: str) -> None:
        (tmp_path / MARKER).write_text(marker, encoding="utf-8")
        with pytest.raises(InputError, match="cannot be read"):
            make_demo(tmp_path, images=12)

    def test_a_forged_marker_cannot_reach_outside(self, tmp_path: Path) -> None:
        victim, out = tmp_path / "victim.txt", tmp_path / "set"
        victim.write_text("keep", encoding="utf-8")
        out.mkdir()
        marker = {"files": {"../victim.txt": hashlib.sha256(b"keep").hexdigest()}, "settings": {"version": 0}}
        (out / MARKER).write_text(json.dumps(marker), encoding="utf-8")
        with pytest.raises(InputError):
            make_demo(out, images=12)
        assert victim.read_text(encoding="utf-8") == "keep"

    def test_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "set").write_text("x", encoding="utf-8")
        with pytest.raises(InputError, match="not a folder"):
            make_demo(tmp_path / "set", images=12)

    def test_an_empty_folder_is_fine(self, tmp_path: Path) -> None:
        (tmp_path / "set").mkdir()
        assert make_demo(tmp_path / "set", images=12, workers=1).images >= 12

    def test_a_failed_run_leaves_nothing(self, tmp_path: Path) -> None:
        def stop(stage: str, done: int, total: int | None) -> None:
            if done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make_demo(tmp_path / "set", images=12, workers=1, progress=stop)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "bad", [{"images": 11}, {"products": PRODUCTS[:3]}, {"products": PRODUCTS[:1] * 9}]
    )
    def test_impossible_sizes_are_refused(self, tmp_path: Path, bad: dict[str, object]) -> None:
        with pytest.raises(InputError):
            make_demo(tmp_path / "set", **bad)  # type: ignore[arg-type]
        assert not (tmp_path / "set").exists()
