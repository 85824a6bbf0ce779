"""What signals look at beside the index: read from the files a user gives, joined to the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from healtheat.core.errors import InputError
from healtheat.core.progress import Progress, silent
from healtheat.embedding import Encoder
from healtheat.findings.pixels import IndexPixels
from healtheat.index import Index
from healtheat.index.runs import last_settings, text_setting
from healtheat.listing import ChosenRule
from healtheat.signals import SIGNALS, Samples, Signal, samples_from
from healtheat.signals.agreement import Agreement
from healtheat.signals.contents import Contents
from healtheat.signals.detector.predictions import PredictionFolder
from healtheat.signals.label import Label
from healtheat.signals.overlooked import Overlooked
from healtheat.sources.detector.masks import MaskModel

_NAMES = (Contents.name, Label.name, Overlooked.name)  # signals that read what an image's name lists


@dataclass(frozen=True, slots=True)
class Inputs:
    """`contents`: how names of images list what is on them. `predictions`: those of a detector, if any.
    `missing`: whether images are searched for objects without a box. `encoder`: the one of the index, for
    places that it holds no vector of; None loads it when it is needed, which works for an embedded one.
    `proposals`: a model whose masks are more places to look at.
    """

    contents: ChosenRule = field(default_factory=ChosenRule)
    predictions: PredictionFolder | None = None
    missing: bool = False
    encoder: Encoder | None = None
    proposals: MaskModel | None = None
    _listed: list[tuple[Samples, Samples]] = field(
        init=False, default_factory=list, compare=False, repr=False
    )  # the last samples and the same with their listing

    def signals(self, signals: Sequence[Signal] = SIGNALS, progress: Progress = silent) -> tuple[Signal, ...]:
        """`signals`, the search for missing boxes where it is asked for, and the agreement with predictions
        where there are any.
        """
        more: list[Signal] = []
        if self.missing:
            more.append(Overlooked(progress=progress, proposals=self.proposals))
        if self.predictions is not None:
            more.append(Agreement())
        given = {signal.name for signal in signals}
        return (*signals, *(signal for signal in more if signal.name not in given))

    def joined(self, signal: Signal, samples: Samples) -> Samples:
        """`samples` with what `signal` needs of these; the same object where it needs nothing.

        What is joined already stays. InputError where the rule or the predictions do not fit the images.
        """
        if signal.name in _NAMES and samples.listing is None:
            try:
                samples = self._with_listing(samples)
            except InputError:
                if signal.name == Contents.name:  # one signal says so, the others do without
                    raise
        if signal.name == Agreement.name and samples.predicted is None and self.predictions is not None:
            return replace(samples, predicted=self.predictions.read(samples.images, samples.names))
        return samples

    def _with_listing(self, samples: Samples) -> Samples:
        """`samples` with what their names list; one object, so that signals share what they worked out."""
        if not self._listed or self._listed[0][0] is not samples:
            paths = [str(path) for path in samples.images.path]
            found = self.contents.listing(paths, samples.names)
            joined = samples if found is None else replace(samples, listing=found)
            self._listed[:] = [(samples, joined)]
        return self._listed[0][1]

    def settings(self, signal: Signal) -> dict[str, Any]:
        """Where the data joined for `signal` came from, for the record in `runs`."""
        if signal.name == Contents.name:
            classes = self.contents.classes
            return {"classes": "" if classes is None else str(classes), "rule": self.contents.rule}
        if signal.name == Agreement.name and self.predictions is not None:
            return {"predictions": str(self.predictions.folder)}
        if signal.name == Overlooked.name and self.proposals is not None:
            return {"proposals": str(self.proposals.weights)}
        return {}


def samples_of(index: Index, encoder: Encoder | None = None) -> Samples:
    """The samples of an index whose images can be looked at again: one object, so a search is shared.

    `encoder` as in `Inputs`.
    """
    return replace(samples_from(index), pixels=IndexPixels(index, encoder))


def contents_of(index: Index) -> tuple[str, Path | None]:
    """Rule and class map of the last scoring of `index`, as `ChosenRule` takes them."""
    rule, classes = (text_setting(index, Contents.name, name) for name in ("rule", "classes"))
    return rule or "auto", Path(classes) if classes else None


def missing_of(index: Index) -> bool:
    """Whether the last scoring of `index` searched for missing boxes."""
    return bool(last_settings(index, Overlooked.name))


def proposals_of(index: Index) -> str:
    """The weights that proposed places at the last scoring of `index`; "" where none did."""
    return text_setting(index, Overlooked.name, "proposals")


def predictions_of(index: Index) -> Path | None:
    """The folder of predictions of the last scoring of `index`; None where there were none."""
    folder = text_setting(index, Agreement.name, "predictions")
    return Path(folder) if folder else None
