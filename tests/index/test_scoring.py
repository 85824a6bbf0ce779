"""Scores in the index: crashed signals, scoring again, other thresholds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from healtheat import api
from healtheat.core.issues import Silence
from healtheat.findings.flag import FindingSettings
from healtheat.findings.score import rescore, update_findings
from healtheat.index import Index
from healtheat.signals.base import Scores, Signal
from healtheat.signals.geometry import Geometry
from healtheat.signals.samples import Samples
from tests.building.conftest import Build
from tests.index.small_set import tables

BOXES, TILES = 36, 24
WHY = "its boxes have <no> colour"


class _Silent(Signal):
    name = "silent"
    issues = ("background",)

    def measure(self, queries: Samples, store: Samples) -> Sequence[Silence]:
        return [Silence(self.name, "background", WHY)]


class _Crashing(Signal):
    name = "crashing"
    issues = ("outlier",)

    def measure(self, queries: Samples, store: Samples) -> Sequence[Scores]:
        raise RuntimeError("a bug\nwith two lines")


def test_a_crashed_signal_is_told_and_the_others_count(build_small: Build, index_path: Path) -> None:
    report = build_small(signals=(_Crashing(), Geometry()))
    assert [str(failure) for failure in report.failures] == ["crashing: RuntimeError: a bug"]
    assert report.failures[0].fault == "crash"
    assert report.findings > 0
    with Index.open(index_path) as index:
        runs = index.sql("SELECT kind, signal, status, fault FROM runs ORDER BY run_id").to_pylist()
        assert [tuple(run.values()) for run in runs] == [
            ("build", None, "ok", None),
            ("signal", "crashing", "crashed", "crash"),
            ("signal", "geometry", "ok", None),
        ]
        assert set(index.scores()["signal"].to_pylist()) == {"geometry"}


def test_scoring_again_changes_only_scores(build_small: Build, index_path: Path) -> None:
    build_small()
    before = tables(index_path)
    assert before["scores"] == []
    report = rescore(index_path, signals=(Geometry(),))
    after = tables(index_path)
    assert report.findings > 0 and after["scores"] != []
    for name in ("images", "boxes", "classes", "problems", "background", "vectors", "background vectors"):
        assert after[name] == before[name]
    whole = index_path.parent / "whole"

    shutil.copytree(index_path, whole)
    build_small(signals=(Geometry(),))
    built = tables(index_path)
    scored = tables(whole)
    for name in ("scores", "findings"):
        assert built[name] == scored[name]


def test_other_thresholds_are_applied_without_running_a_signal(build_small: Build, index_path: Path) -> None:
    build_small(signals=(Geometry(),))
    before = tables(index_path)
    thresholds = dict.fromkeys(FindingSettings().thresholds, 0.0)
    report = update_findings(index_path, FindingSettings(thresholds=thresholds))
    assert report.flagged == report.findings > 0
    after = tables(index_path)
    assert after["scores"] == before["scores"] and after["runs"] == before["runs"]
    with Index.open(index_path) as index:
        assert index.manifest.counts.flagged == report.flagged
        settings = index.manifest.settings["findings"]
        assert isinstance(settings, dict) and settings["thresholds"] == thresholds


def test_a_question_that_is_not_asked_is_told_and_kept(build_small: Build, index_path: Path) -> None:
    told = (Silence("silent", "background", WHY),)
    assert build_small(signals=(_Silent(), Geometry())).flags.silences == told
    assert update_findings(index_path, FindingSettings()).flags.silences == told
    with Index.open(index_path) as index:
        assert tuple(index.silences()) == told
        assert {run["status"] for run in index.sql("SELECT status FROM runs").to_pylist()} == {"ok"}
    assert api.trust(index_path).silences == told
    assert rescore(index_path, signals=(Geometry(),)).flags.silences == ()
