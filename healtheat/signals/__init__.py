"""The signals: one file each. Adding one means adding a file and a line in `SIGNALS`."""

from __future__ import annotations

from healtheat.core.issues import ISSUES, Silence
from healtheat.signals.background import Background
from healtheat.signals.base import Scores, Signal
from healtheat.signals.contents import Contents
from healtheat.signals.duplicate import Duplicate
from healtheat.signals.forest import Forest
from healtheat.signals.geometry import Geometry
from healtheat.signals.label import Label
from healtheat.signals.looks import Looks
from healtheat.signals.quality import Quality
from healtheat.signals.samples import Samples, samples_from
from healtheat.signals.unreadable import ReadProblems

SIGNALS: tuple[Signal, ...] = (
    Label(),
    Looks(),
    Geometry(),
    Background(),
    Duplicate(),
    Contents(),
    Forest(),
    Quality(),
    ReadProblems(),
)

__all__ = ["ISSUES", "SIGNALS", "Samples", "Scores", "Signal", "Silence", "samples_from"]
