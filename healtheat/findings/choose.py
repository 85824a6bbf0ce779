"""How the signals run and findings are flagged: from what a user names, or as at the last scoring."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from healtheat.core.errors import Argument, BadIndex, InputError
from healtheat.core.issues import ISSUES
from healtheat.core.paths import is_file
from healtheat.core.progress import Progress, silent
from healtheat.core.validation import what_is_wrong
from healtheat.embedding import Encoder
from healtheat.findings.flag import THRESHOLDS, FindingSettings
from healtheat.findings.inputs import Inputs, contents_of, missing_of, predictions_of, proposals_of
from healtheat.findings.score import PredictionsUsed, ScoreReport, rescore
from healtheat.index import Index
from healtheat.index.again import BUILT_IN_RULES, Again, refused_kept
from healtheat.index.encoder import EncoderWhenNeeded, check_given
from healtheat.listing import ChosenRule
from healtheat.signals.detector.predictions import PredictionFolder
from healtheat.signals.detector.results import PredictionList
from healtheat.sources.detector.masks import MaskModel

Threshold = Mapping[str, float] | Iterable[str] | None  # {"mislabel": 0.8}, or texts such as "mislabel=0.8"


def choose_inputs(
    contents_rule: str | None = "auto",
    classes: Path | None = None,
    predictions: str | os.PathLike[str] | None = None,
    data: Path | None = None,
    missing: bool = False,
    proposals: str | os.PathLike[str] | None = None,
) -> Inputs:
    """This rule for image names and these predictions of a detector, for the signals that look at them; and
    whether images are searched for `missing` boxes, also where the model `proposals` finds a mask.

    `data` is the data set, whose COCO file gives the image ids of a results JSON.
    Raises InputError where a rule, a class file or the predictions cannot be used.
    """
    contents = ChosenRule(contents_rule or "auto", classes)
    given = _predictions(_folder(predictions), data)
    return Inputs(contents, given, missing, proposals=choose_proposals(proposals, search=missing))


def score_again(
    index_dir: Path,
    *,
    contents_rule: str | None = None,
    classes: Path | None = None,
    predictions: str | os.PathLike[str] | None = None,
    missing: bool | None = None,
    proposals: str | os.PathLike[str] | None = None,
    encoder: str | None = None,
    progress: Progress = silent,
) -> ScoreReport:
    """Run the signals again over the index in `index_dir`; what is None stays as at the last scoring.

    `predictions` and `proposals` "none" leave them out where some were given before. Findings are flagged as
    before. `encoder` is the name of that of the index, which missing boxes need where it is not embedded.
    Raises InputError, EncoderError, BadIndex or IndexBusy.
    """
    given, model = (None if path is None else os.fspath(path) for path in (predictions, proposals))
    again = Again(encoder, None, contents_rule, classes, given, missing, model)
    with Index.open(index_dir) as index:
        inputs, flagging = as_before(index, again)
        used = _used(inputs.predictions, index)
    return rescore(index_dir, inputs=inputs, findings=flagging, predictions=used, progress=progress)


def as_before(
    index: Index, again: Again | None = None, encoder: Encoder | None = None
) -> tuple[Inputs, FindingSettings]:
    """What the last scoring of `index` looked at and how it flagged, but for what is given `again`.

    `encoder` is that of the index, loaded by the name given again where it is None. Raises InputError where
    the last scoring looked at files or ran an expression, and they are not given again; EncoderError where
    missing boxes need the encoder, and it is not; BadIndex.
    """
    again = again or Again()
    contents = _contents(index, again)
    kept = predictions_of(index)
    if again.predictions is None and kept is not None:
        which = Argument("predictions"), Argument("predictions", "none")
        raise refused_kept(index, "the predictions in", str(kept), *which)
    folder = _folder(again.predictions)
    search = missing_of(index) if again.missing is None else again.missing
    predictions = _predictions(folder, Path(index.manifest.source.data))
    if search and encoder is None:
        check_given(index, again.encoder)
    encoder = encoder or EncoderWhenNeeded(index, again.encoder)
    proposals = _proposals(index, again, search=search)
    return Inputs(contents, predictions, search, encoder, proposals), _flagging(index)


def choose_proposals(proposals: str | os.PathLike[str] | None, *, search: bool = True) -> MaskModel | None:
    """The model in the file `proposals`; None for the word none and where nothing is given.

    Raises InputError where it cannot be used, or nothing is searched.
    """
    file = _folder(proposals)
    if file is not None and not search:
        raise InputError(
            Argument("proposals"),
            " is only for the search for missing boxes; give ",
            Argument("missing", True),
        )
    return None if file is None else MaskModel.of(file)


def _proposals(index: Index, again: Again, *, search: bool) -> MaskModel | None:
    kept = proposals_of(index) if search else ""
    if again.proposals is None and kept:
        which = Argument("proposals"), Argument("proposals", "none")
        raise refused_kept(index, "the proposals of", kept, *which)
    return choose_proposals(again.proposals, search=search)


def _contents(index: Index, again: Again) -> ChosenRule:
    if again.contents_rule is not None or again.classes is not None:
        return ChosenRule(again.contents_rule or "auto", again.classes)
    rule, classes = contents_of(index)
    if rule not in BUILT_IN_RULES:
        which = Argument("contents_rule"), Argument("contents_rule", "auto")
        raise refused_kept(index, "the rule", rule, *which)
    if classes is not None:
        which = Argument("classes"), Argument("contents_rule", "auto")
        raise refused_kept(index, "the classes in", str(classes), *which)
    return ChosenRule(rule)


def _flagging(index: Index) -> FindingSettings:
    try:
        return FindingSettings.model_validate(index.manifest.settings.get("findings"))
    except ValidationError as error:
        where, what = what_is_wrong(error)
        raise BadIndex(f"{index.path}: settings.findings.{where}: {what}; build the index again") from None


def finding_settings(
    threshold: Threshold = None, fdr: float | None = None, budget: int | None = None
) -> FindingSettings:
    """How findings are to be flagged; issues without a threshold keep their default, HINTS are not flagged.

    Raises InputError for an unknown issue, a threshold outside 0 to 1, or a rate that is none.
    """
    given = thresholds(threshold)
    if fdr is not None and given:
        raise InputError(
            Argument("fdr"),
            " sets the thresholds itself; leave out ",
            Argument("threshold"),
            " or ",
            Argument("fdr"),
        )
    if fdr is not None and not 0 < fdr < 1:
        raise InputError(
            Argument("fdr"),
            f" {fdr}: give a share between 0 and 1, such as 0.1 for one false alarm in ten",
        )
    if budget is not None and budget < 0:
        raise InputError(Argument("budget"), f" {budget}: give a number of boxes, 0 or more")
    return FindingSettings(thresholds={**THRESHOLDS, **given}, fdr=fdr, budget=budget)


def thresholds(threshold: Threshold) -> dict[str, float]:
    """Issue → the score from which it is flagged. Raises InputError for another issue, or no such score."""
    if isinstance(threshold, str):
        threshold = [threshold]
    if isinstance(threshold, Mapping):
        threshold = [f"{issue}={value}" for issue, value in threshold.items()]
    found: dict[str, float] = {}
    for text in threshold or ():
        issue, _, value = text.partition("=")
        if issue not in ISSUES:
            raise InputError(
                Argument("threshold"), f" {text!r}: no such issue; choose from {', '.join(ISSUES)}"
            )
        found[issue] = _share(text, value)
    return found


def _share(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise InputError(Argument("threshold"), f" {text!r}: give a number from 0 to 1, such as mislabel=0.8")
    return number


def _folder(predictions: str | os.PathLike[str] | None) -> Path | None:
    """The folder that `predictions` names; None for the word none and where nothing is given."""
    if predictions is None or os.fspath(predictions).lower() == "none":
        return None
    return Path(predictions)


def _predictions(folder: Path | None, data: Path | None) -> PredictionFolder | None:
    if folder is None:
        return None
    if folder.suffix.lower() == ".json" and is_file(folder):
        if data is None:
            raise InputError(
                Argument("predictions"), f" {folder}: give the COCO labels too; it has ids alone"
            )
        return PredictionList(folder, data)
    return PredictionFolder(folder)


def _used(predictions: PredictionFolder | None, index: Index) -> PredictionsUsed | None:
    if predictions is None:
        return None
    images = [str(path) for path in index.images().path]
    return PredictionsUsed(predictions.folder, predictions.join(images).images, len(images))
