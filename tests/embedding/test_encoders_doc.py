"""docs/encoders.md says what the code does."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from healtheat.crops import MAX_IMAGE_PX, CropPolicy
from healtheat.crops.decode import FORMATS
from healtheat.embedding import EncoderSpec, list_encoders

TEXT = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return found[1]


def test_the_spec_shown_is_a_spec() -> None:
    shown = json.loads(block("json"))
    shown["weights_sha256"] = "0" * 64
    spec = EncoderSpec.model_validate(shown)
    assert set(shown) == set(EncoderSpec.model_fields) - {"backend", "precision"}
    assert spec.fill == CropPolicy().fill and spec.padding == CropPolicy().padding
    required = [name for name, field in EncoderSpec.model_fields.items() if field.is_required()]
    assert list(shown)[: len(required)] == required and len(required) == 7


def test_the_python_shown_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 48), (9, 80, 200)).save("image.jpg")
    names: dict[str, Any] = {}
    exec(block("python"), names)
    assert names["vectors"].shape == (1, 1344)
    assert np.linalg.norm(names["vectors"]) == pytest.approx(1, abs=1e-5)


def test_figures_in_the_text() -> None:
    assert f"more than {MAX_IMAGE_PX // 10**6} million pixels" in TEXT
    assert f"({CropPolicy().padding})" in TEXT
    for name in FORMATS:
        assert re.search(rf"\b{name}\b", TEXT, re.IGNORECASE)
    for info in list_encoders():
        if info.kind == "embedded":
            assert f"| `{info.name}` |" in TEXT
