"""`--proposals`: what is wrong with it is one line before the work begins; an index does not name weights."""

import importlib
from pathlib import Path

import pytest

from healtheat.cli import run
from tests.index.small_set import write_set

STAND_IN = """
class Predictor:
    def __init__(self, overrides): pass
    def setup_model(self, model, verbose): pass

class FastSAM:
    task, model = "segment", None
    task_map = {"segment": {"predictor": Predictor}}
    def __init__(self, weights): pass
"""


def said(capfd: pytest.CaptureFixture[str]) -> str:
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_proposals_are_given_with_the_search_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "packages/ultralytics"
    (package / "models/sam").mkdir(parents=True)
    for folder, text in ((package, STAND_IN), (package / "models", ""), (package / "models/sam", "")):
        (folder / "__init__.py").write_text(text, encoding="utf-8")
    (package / "models/sam/build.py").write_text("sam_model_map = {}", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.syspath_prepend(str(package.parent))
    importlib.invalidate_caches()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fast.pt").write_bytes(b"weights")
    build = ["build", str(write_set(tmp_path / "set", images=3)), "--index", "index", "--encoder", "imagenet"]

    assert run([*build, "--proposals", "fast.pt"]) == 2
    assert "--proposals is only for the search for missing boxes; give --missing" in said(capfd)
    assert run([*build, "--missing", "--proposals", "sam_b.pt"]) == 2
    assert "sam_b.pt: weights not found; nothing is downloaded" in said(capfd)
    assert not (tmp_path / "index").exists()

    assert run([*build, "--missing", "--proposals", "fast.pt"]) == 0
    capfd.readouterr()
    score = ["score", "--index", "index"]
    assert run(score) == 2
    assert said(capfd).rstrip().endswith("give --proposals or --proposals none")
    assert run([*score, "--proposals", "fast.pt"]) == 0
    assert run(score) == 2, "they are asked for as long as they are used"
    assert run([*score, "--proposals", "none"]) == 0
    assert run(score) == 0
