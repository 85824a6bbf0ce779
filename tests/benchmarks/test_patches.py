"""Random verdicts as patches: exactly the confirmed boxes change, and the bytes come back."""

import shutil
from pathlib import Path

import pytest

from benchmarks.patches import rounds
from tests.index.small_set import write_set

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git")


def play(data: Path, work: Path, count: int) -> None:
    played = list(rounds(data, work, count, seed=3))
    assert [one.wrong for one in played] == [""] * count
    assert sum(one.relabelled for one in played) > 0 and sum(one.dropped for one in played) > 0


def test_on_a_small_set(tmp_path: Path) -> None:
    play(write_set(tmp_path / "set"), tmp_path / "work", 8)


@pytest.mark.slow
def test_on_real_labels(shared: Path, tmp_path: Path) -> None:
    """4 of the 500 rounds that `python -m benchmarks.patches` plays."""
    play(shared / "data/pushin-pill/data.yaml", tmp_path / "work", 4)


def test_a_wrong_box_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from healtheat.exporting.patch import write

    monkeypatch.setattr(write, "relabelled", lambda line, class_id: line.replace(b"0.", b"0.0", 1))
    played = list(rounds(write_set(tmp_path / "set"), tmp_path / "work", 4, seed=3))
    assert any(one.wrong for one in played)
