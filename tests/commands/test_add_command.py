"""`healtheat add`, `batches` and `remove`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from healtheat.building.build import build
from healtheat.cli import run
from healtheat.sources.yolo.source import YoloSource
from tests.index.small_set import FakeEncoder, tables, write_set


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sets `pills` and `june`, and the index of the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("healtheat.index.encoder.embedded", lambda: ("fake",))
    monkeypatch.setattr("healtheat.index.encoder.load_encoder", lambda name, **more: FakeEncoder())
    monkeypatch.setattr("healtheat.index.encoder.embedded", lambda: ["fake"])
    data = write_set(tmp_path / "pills")
    build(YoloSource(data), tmp_path / "index/pills", encoder=FakeEncoder())
    write_set(tmp_path / "june", images=5, seed=5)
    return tmp_path


def said(capfd: pytest.CaptureFixture[str], *command: str) -> str:
    code = run(command)
    out, err = capfd.readouterr()
    assert code == 0, err
    return out + err


def test_a_batch_comes_is_listed_and_goes(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = tables(here / "index/pills")
    assert "no batches" in said(capfd, "batches")
    dry = said(capfd, "add", "june/data.yaml", "--dry-run")
    assert "batch june: 15 boxes on 5 images would be added" in dry and "25 crops to embed" in dry
    assert tables(here / "index/pills") == before
    done = said(capfd, "add", "june/data.yaml", "--to", "index/pills")
    assert "batch june: 15 boxes on 5 images added" in done and "flagged in the batch" in done
    again = said(capfd, "add", "june/data.yaml")
    assert "batch june: nothing new" in again and "5 images are in the index already" in again
    listed = json.loads(said(capfd, "batches", "--format", "json"))
    assert [(row["name"], row["boxes"]) for row in listed] == [("june", 15)]
    assert "june: 15 boxes on 5 images; yolo, " in said(capfd, "batches")
    said(capfd, "report", "--out", "r.html")
    assert "pills/data.yaml and the batch june" in (here / "r.html").read_text(encoding="utf-8")
    assert "batch june: 15 boxes on 5 images taken out" in said(
        capfd, "remove", "june", "--from", "index/pills"
    )
    assert tables(here / "index/pills") == before


def test_the_summary_is_json(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(["add", "june/data.yaml", "--name", "one", "--json"])
    added = json.loads(capfd.readouterr().out)
    assert (added["name"], added["images"], added["embedded"], added["written"]) == ("one", 5, 25, True)
    run(["remove", "one", "--json"])
    removed = json.loads(capfd.readouterr().out)
    assert (removed["boxes"], removed["classes"]) == (15, [])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["remove", "may"], "no batch 'may'; nothing was added to it since it was built"),
        (["add", "june/data.yaml", "--to", "absent"], "absent: no such folder"),
        (["add", "absent.yaml"], "absent.yaml"),
        (["add", "june/data.yaml", "--name", "a/b"], "--name 'a/b': give letters"),
        (["add", "june/data.yaml", "--accepted-only"], "leave out --accepted-only"),
        (["add", "index/pills", "--to", "index/pills"], "cannot be added to itself"),
    ],
)
def test_bad_input_is_told_in_a_line(
    here: Path, capfd: pytest.CaptureFixture[str], command: list[str], why: str
) -> None:
    assert run(command) == 2
    err = capfd.readouterr().err
    assert why in err and len(err.strip().splitlines()) == 1


def test_a_build_over_batches_needs_a_word(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capfd, "add", "june/data.yaml")
    monkeypatch.setattr("healtheat.building.auto.load_encoder", lambda name, **more: FakeEncoder())
    assert run(["build", "pills/data.yaml", "--encoder", "fake"]) == 2
    assert "or add --drop-batches" in capfd.readouterr().err
    assert "0 crops embedded" in said(
        capfd, "build", "pills/data.yaml", "--encoder", "fake", "--drop-batches"
    )
    assert "no batches" in said(capfd, "batches")
