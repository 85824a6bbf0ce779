"""The zero-shot questions of the shipped encoder, in English and Korean. Answers are coarse, no product."""

from __future__ import annotations

from training.captions import COLOURS, EMPTY, FAMILIES, KIND_TEXTS, PIECE, PILL, SYNONYMS_EN, SYNONYMS_KO

Texts = dict[str, tuple[str, ...]]


def _by_language(kind: str) -> Texts:
    texts = KIND_TEXTS[kind]
    return {
        "en": tuple(t for t in texts if t.isascii()),
        "ko": tuple(t for t in texts if not t.isascii()),
    }


def _family(key: str, english: str, korean: str) -> Texts:
    en, ko = SYNONYMS_EN.get(key, (english,)), SYNONYMS_KO.get(key, (korean,))
    return {
        "en": tuple(f.format(t) for t in en for f in ("{}", "a {}", "a photo of a {}")),
        "ko": tuple(f.format(t) for t in ko for f in ("{}", "{} 사진", "{} 한 개")),
    }


def _colour(english: str, korean: str) -> Texts:
    return {
        "en": tuple(f"{english} {n}" for n in ("pill", "tablet", "round tablet", "capsule", "oval tablet")),
        "ko": tuple(f"{korean} {n}" for n in ("알약", "정제", "원형 정제", "캡슐", "타원형 정제")),
    }


QUESTIONS: dict[str, dict[str, Texts]] = {
    "pill": {"pill": _by_language(PILL), "background": _by_language(EMPTY), "piece": _by_language(PIECE)},
    "family": {key: _family(key, en, ko) for key, en, ko in FAMILIES.values()},
    "colour": {en: _colour(en, ko) for en, ko in COLOURS.values()},
}
