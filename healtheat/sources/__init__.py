"""Where labelled boxes come from. Every format is one folder and one entry of `open.FORMATS`."""

from healtheat.sources.base import LabelFile, LabelledImage, Record, Source
from healtheat.sources.detector.settings import DetectorSettings
from healtheat.sources.open import open_source

__all__ = ["DetectorSettings", "LabelFile", "LabelledImage", "Record", "Source", "open_source"]
