"""Crops: one decode an image, every box cut out and letterboxed to a square, measured."""

from healtheat.crops.background import background_xywhn
from healtheat.crops.cut import CropPolicy, cut, cut_one, pixel_boxes, scaled_part
from healtheat.crops.decode import MAX_IMAGE_PX, open_image, stored_orientation
from healtheat.crops.mask import grey_out
from healtheat.crops.measure import CROP_MEASURES, cut_and_measure, image_dhash, measure

__all__ = [
    "CROP_MEASURES",
    "MAX_IMAGE_PX",
    "CropPolicy",
    "background_xywhn",
    "cut",
    "cut_and_measure",
    "cut_one",
    "grey_out",
    "image_dhash",
    "measure",
    "open_image",
    "pixel_boxes",
    "scaled_part",
    "stored_orientation",
]
