"""Images of an index are read again for their pixels, unless they are gone or others now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from healtheat.crops.grey import GREY_PX
from healtheat.findings.inputs import samples_of
from healtheat.findings.pixels import IndexPixels
from healtheat.index import Index
from tests.building.conftest import Build

BOX = np.array([[0.5, 0.5, 0.5, 0.5]])


def test_pixels_of_an_index(build_small: Build, index_path: Path) -> None:
    build_small()
    with Index.open(index_path) as index:
        pixels = samples_of(index).pixels
        assert pixels is not None
        first, changed, gone = (int(i) for i in index.images().image_id[:3])
        files = [index.image_file(i) for i in (first, changed, gone)]
        with Image.open(files[0]) as image:
            mean = np.asarray(image.convert("L"), np.float64).mean()
        crops, copies = pixels.crops(first, BOX), pixels.copies(first, BOX)
        assert crops is not None and copies is not None
        assert crops.shape == copies.shape == (1, GREY_PX, GREY_PX)
        assert abs(crops.mean() - mean) < 128
        files[1].write_bytes(files[0].read_bytes())
        files[2].unlink()
        fresh = IndexPixels(index)
        assert fresh.crops(changed, BOX) is None, "another image than was indexed is not compared"
        assert fresh.copies(gone, BOX) is None
