"""Captions state only true facts, and a picture matches exactly the captions that are true of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.captions import COLOURS, EMPTY, FAMILIES, PIECE, Looks, kind_caption, matches, write_caption
from training.questions import QUESTIONS


def row(**changes: Any) -> dict[str, Any]:
    base = {
        "shape": ["圓形"],
        "colour": ["白"],
        "score_mark": ["直線"],
        "size_mm": ["8"],
        "mark1": "FY",
        "mark2": None,
    }
    return base | changes


def test_every_caption_of_a_product_is_true_of_it_and_of_no_other_kind() -> None:
    rng = np.random.default_rng(0)
    white, red = Looks.of(row()), Looks.of(row(colour=["紅"], shape=["膠囊"], mark1="X"))
    for _ in range(300):
        caption = write_caption(white, rng)
        assert caption.facts <= white.facts()
        if len(caption.facts) > 1:
            assert not caption.facts <= red.facts()
        assert not caption.facts <= frozenset({("kind", EMPTY)})


def test_captions_come_in_both_languages_with_the_imprint_kept() -> None:
    rng = np.random.default_rng(1)
    texts = [write_caption(Looks.of(row()), rng).text for _ in range(200)]
    assert any("흰색" in t and "정제" in t for t in texts)
    assert any("white" in t and "tablet" in t for t in texts)
    assert any("각인 FY" in t for t in texts) and any("imprint FY" in t for t in texts)


@pytest.mark.parametrize("shape", [[], ["其他"], ["圓形", "膠囊"]])
def test_unknown_or_mixed_shapes_claim_no_family(shape: list[str]) -> None:
    looks = Looks.of(row(shape=shape))
    assert looks.family is None
    assert all("round" not in write_caption(looks, np.random.default_rng(k)).text for k in range(40))


def test_matches_agrees_with_a_slow_loop() -> None:
    rng = np.random.default_rng(2)
    products = [Looks.of(row(colour=[c], shape=[s])) for c in ("白", "紅") for s in ("圓形", "膠囊")]
    captions = [write_caption(products[int(rng.integers(4))], rng) for _ in range(30)] + [
        kind_caption(PIECE, rng)
    ]
    pictures = [p.facts() for p in products] + [frozenset({("kind", PIECE)})]
    table = matches(captions, pictures)
    for i, picture in enumerate(pictures):
        for j, caption in enumerate(captions):
            assert table[i, j] == all(fact in picture for fact in caption.facts)
    assert table[-1].sum() == 1


def test_questions_cover_every_field_value_in_both_languages() -> None:
    assert set(QUESTIONS["family"]) == {key for key, _, _ in FAMILIES.values()}
    assert set(QUESTIONS["colour"]) == {english for english, _ in COLOURS.values()}
    for answers in QUESTIONS.values():
        for texts in answers.values():
            assert texts["en"] and all(t.isascii() for t in texts["en"])
            assert texts["ko"] and all(any("가" <= c <= "힣" for c in t) for t in texts["ko"])
