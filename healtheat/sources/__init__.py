"""Where labelled boxes come from. Every format is one file; `open_source` tells them apart."""

from healtheat.sources.base import LabelFile, LabelledImage, Record, Source
from healtheat.sources.detector.source import DetectorSettings
from healtheat.sources.open import open_source

__all__ = ["DetectorSettings", "LabelFile", "LabelledImage", "Record", "Source", "open_source"]
