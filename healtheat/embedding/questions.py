"""Zero-shot questions that ship with an encoder: `questions.json`, text vectors computed when it was trained.

    {"logit_scale": 27.3, "questions": {"pill": {"pill": {"en+ko": [...], "en": [...], "ko": [...]}, ...},
    ...}}

So asking "is this a pill?" needs neither the text tower nor a tokenizer. Answers are coarse, never a product.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from healtheat.core.errors import EncoderError
from healtheat.embedding.files import MAX_TEXT_BYTES, QUESTIONS_FILE, read_bytes
from healtheat.embedding.spec import EncoderSpec, first_reason

LANGUAGES = "en+ko"  # both languages pooled


class Questions(BaseModel):
    """The content of a `questions.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logit_scale: float = Field(
        gt=0, le=1000, allow_inf_nan=False
    )  # softmax over the answers takes logit_scale × cosine
    questions: dict[str, dict[str, dict[str, list[FiniteFloat]]]]  # question → label → language → vector

    def vectors(
        self, question: str, spec: EncoderSpec, language: str = LANGUAGES
    ) -> dict[str, NDArray[np.float32]]:
        """label → (dim,) unit vector to multiply crop vectors of `spec` with; {} for an unknown question.

        The part of a colour block is zero: text says nothing to it.
        """
        answers = {}
        for label, by_language in self.questions.get(question, {}).items():
            if language in by_language:
                answers[label] = padded(np.array(by_language[language], np.float32), spec)
        return answers

    def check(self, spec: EncoderSpec) -> None:
        """EncoderError where a text vector does not fit the encoder, or an answer lacks the pooled one."""
        for question, answers in self.questions.items():
            for answer, by_language in answers.items():
                where = f"{QUESTIONS_FILE}: {question}, {answer}"
                if LANGUAGES not in by_language:
                    raise EncoderError(f"encoder {spec.name}: {where}: expected a vector for {LANGUAGES}")
                for vector in by_language.values():
                    try:
                        padded(np.array(vector, np.float64), spec)
                    except EncoderError as error:
                        raise EncoderError(f"{error} ({where})") from None


def padded(text: NDArray[np.float32], spec: EncoderSpec) -> NDArray[np.float32]:
    """(dim,) unit vector: the (tower_dim,) text vector, zeros where crop vectors hold colour."""
    if text.shape != (spec.tower_dim,):
        raise EncoderError(
            f"encoder {spec.name}: text vector: expected ({spec.tower_dim},), found {text.shape}"
        )
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(text))
    if not 1e-6 < norm < 1e6:
        raise EncoderError(f"encoder {spec.name}: text vector: NaN, infinite or zero")
    vector = np.zeros(spec.dim, np.float32)
    vector[: spec.tower_dim] = text / norm
    return vector


def read_questions(path: Path) -> Questions | None:
    """The questions in `path`, None where there is no such file. Raises EncoderError naming file and
    field.
    """
    if not path.is_file():
        return None
    try:
        return Questions.model_validate(json.loads(read_bytes(path, MAX_TEXT_BYTES)))
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: {first_reason(error)}") from None
