"""An encoder from a folder: `encoder.json` (the spec) beside `image.onnx` (the network), run by ONNX
Runtime.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from healtheat.core.errors import EncoderError
from healtheat.embedding.base import Encoder
from healtheat.embedding.files import (
    MAX_NETWORK_BYTES,
    NETWORK_FILE,
    QUESTIONS_FILE,
    SPEC_FILE,
    read_bytes,
    read_spec,
)
from healtheat.embedding.questions import Questions, read_questions
from healtheat.embedding.spec import EncoderSpec

# A tensor kept in another file names it under the key "location" (onnx.proto, external_data). ONNX Runtime
# would read that path from the working folder, so a stranger's network could pull in any file there. The
# pattern is the key with its protobuf length, in every encoding of the number 8.
_OTHER_FILES = re.compile(rb"(?:\x08|\x88\x80*\x00)location")


class OnnxEncoder(Encoder):
    """ONNX Runtime on the CPU. The network takes float32 (batch, 3, R, R) and gives float32 (batch,
    tower_dim).
    """

    def __init__(
        self,
        spec: EncoderSpec,
        network: bytes,
        *,
        questions: Questions | None = None,
        threads: int | None = None,
    ) -> None:
        """Raises EncoderError where the bytes are not the network that the spec speaks of."""
        if spec.backend != "onnx" or spec.precision != "fp32":
            raise EncoderError(
                f"encoder {spec.name}: expected backend onnx and precision fp32, "
                f"found {spec.backend} and {spec.precision}"
            )
        if questions:
            questions.check(spec)
        found = hashlib.sha256(network).hexdigest()
        if found != spec.weights_sha256:
            raise EncoderError(
                f"encoder {spec.name}: image.onnx: expected sha256 {spec.weights_sha256}, found {found}"
            )
        if _OTHER_FILES.search(network):
            raise EncoderError(
                f"encoder {spec.name}: image.onnx keeps tensors in other files; save it as one file"
            )
        self.spec = spec
        self.questions = questions
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors come as exceptions; the library writes nothing
        try:
            # No fallback: it tries the same again, and announces that on stdout.
            self._session: Any = onnxruntime.InferenceSession(
                network, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:
            raise EncoderError(f"encoder {spec.name}: image.onnx cannot be loaded: {_line(error)}") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise EncoderError(
                f"encoder {spec.name}: image.onnx: expected one input and one output, "
                f"found {len(inputs)} and {len(outputs)}"
            )
        self._input, self._output = inputs[0].name, outputs[0].name

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None, **policy: Any) -> OnnxEncoder:
        """The encoder in `folder`; `policy` as in EncoderSpec.changed. Raises EncoderError."""
        spec = read_spec(folder / SPEC_FILE).changed(**policy)
        questions = read_questions(folder / QUESTIONS_FILE)
        return cls(
            spec, read_bytes(folder / NETWORK_FILE, MAX_NETWORK_BYTES), questions=questions, threads=threads
        )

    def text_vectors(self, question: str) -> dict[str, NDArray[np.float32]]:
        return self.questions.vectors(question, self.spec) if self.questions else {}

    def _logit_scale(self) -> float:
        return self.questions.logit_scale if self.questions else 1.0

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            (features,) = self._session.run([self._output], {self._input: self._normalised(batch)})
        except Exception as error:
            raise EncoderError(f"encoder {self.spec.name}: image.onnx failed: {_line(error)}") from None
        return np.asarray(features)


def default_threads() -> int:
    """OMP_NUM_THREADS where it is set, as numpy and torch take it; else 0, which is one thread a core."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isascii() and asked.isdigit() else 0


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
