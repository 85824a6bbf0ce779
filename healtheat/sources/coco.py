"""COCO data sets as a source."""

from healtheat.sources.coco_file import load_coco

__all__ = ["load_coco"]
