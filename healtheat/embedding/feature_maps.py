"""Feature maps of a small network over a whole image, or over many small crops: EfficientNet-Lite0, ImageNet.

Not an encoder: nothing is pooled, so every place of the image keeps features of its own.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from healtheat.embedding.onnx import default_threads

NETWORK = Path(__file__).parent / "regions" / "features.onnx"
CHANNELS = {4: 24, 8: 40, 16: 112}  # of the map with each stride
BATCH = 16


class FeatureMaps:
    """The network, loaded when it is first asked."""

    @cached_property
    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = default_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(str(NETWORK), options, providers=["CPUExecutionProvider"])

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Maps (n, c, height / s, width / s), s being 4, 8 and 16, of RGB images (n, height, width, 3).

        Height and width are multiples of 16 pixels.
        """
        if pixels.ndim != 4 or pixels.shape[1] % 16 or pixels.shape[2] % 16:
            raise ValueError(f"expected (n, 16 a, 16 b, 3), found {pixels.shape}")
        parts = []
        for start in range(0, len(pixels), BATCH):
            values = pixels[start : start + BATCH].astype(np.float32).transpose(0, 3, 1, 2)
            parts.append(self._session.run(None, {self._session.get_inputs()[0].name: values / 127.5 - 1}))
        return [np.concatenate(maps) for maps in zip(*parts, strict=True)]
