"""Captions from the structured fields, in English and Korean, and which captions a picture answers to.

A caption states some facts of a product (its family, colours, score mark, imprint, size). A picture matches
every caption whose facts are all true of it, so a coarse caption ("a white pill") rightly has many matches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# field value -> (key, English, Korean)
FAMILIES = {
    "圓形": ("round", "round tablet", "원형 정제"),
    "橢圓形": ("oval", "oval tablet", "타원형 정제"),
    "膠囊": ("capsule", "capsule", "캡슐"),
    "三角形": ("triangle", "triangular tablet", "삼각형 정제"),
    "四邊形": ("rectangle", "rectangular tablet", "사각형 정제"),
    "五邊形": ("pentagon", "pentagonal tablet", "오각형 정제"),
    "六邊形": ("hexagon", "hexagonal tablet", "육각형 정제"),
    "八邊形": ("octagon", "octagonal tablet", "팔각형 정제"),
    "水滴形": ("drop", "drop-shaped tablet", "물방울형 정제"),
    "雙圓形": ("double", "double round tablet", "이중 원형 정제"),
}
COLOURS = {
    "棕": ("brown", "갈색"), "橘": ("orange", "주황색"), "灰": ("grey", "회색"), "白": ("white", "흰색"),
    "粉": ("pink", "분홍색"), "紅": ("red", "빨간색"), "紫": ("purple", "보라색"), "綠": ("green", "초록색"),
    "藍": ("blue", "파란색"), "藍綠": ("teal", "청록색"), "透明": ("transparent", "투명"),
    "黃": ("yellow", "노란색"), "黑": ("black", "검은색"),
}  # fmt: skip
SCORES = {"直線": "line", "十字": "cross", "無": "none"}
SCORE_TEXTS = {
    "line": ("a score line", "분할선"),
    "cross": ("a cross score", "십자 분할선"),
    "none": ("no score mark", "분할선 없음"),
}
SYNONYMS_EN = {
    "oval": ("oval tablet", "oblong tablet", "elongated tablet", "caplet"),
    "capsule": ("capsule", "hard capsule", "gel capsule"),
    "round": ("round tablet", "circular tablet", "round pill", "disc-shaped tablet"),
    "rectangle": ("rectangular tablet", "four-sided tablet", "square tablet"),
}
SYNONYMS_KO = {
    "oval": ("타원형 정제", "장방형 정제", "길쭉한 정제"),
    "capsule": ("캡슐", "캡슐제", "경질 캡슐"),
    "round": ("원형 정제", "둥근 정제", "둥근 알약"),
    "rectangle": ("사각형 정제", "네모난 알약"),
}

PILL, EMPTY, PIECE = "pill", "empty", "piece"
KIND_TEXTS = {
    PILL: (
        "a pill", "a photo of a pill", "one single pill", "a medicine tablet or capsule",
        "a whole pill in the middle",
        "알약", "알약 사진", "알약 한 개", "의약품 낱알", "정제 또는 캡슐 사진",
    ),
    EMPTY: (
        "background, no pill", "not a pill", "an empty surface without a pill", "nothing but background",
        "a table, cloth, hand or paper", "a ruler with digits",
        "알약이 아님", "배경, 알약 없음", "빈 바닥", "알약이 없는 사진",
    ),
    PIECE: (
        "part of a pill", "a badly cropped pill", "a pill cut off at the edge", "a box that misses the pill",
        "알약의 일부", "잘못 잘린 알약", "가장자리에서 잘린 알약",
    ),
}  # fmt: skip

Fact = tuple[str, str]


@dataclass(frozen=True)
class Caption:
    """A text and the facts it states; it is true of a picture that has all of them."""

    text: str
    facts: frozenset[Fact]


@dataclass(frozen=True)
class Looks:
    """What is known of one product: family key or None, colours, score key or None, imprints, size in mm."""

    family: str | None
    family_texts: tuple[str, str]
    colours: tuple[str, ...]
    score: str | None
    imprint: str
    size_mm: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Looks:
        """Read the facts of one line of `pills.jsonl`."""
        shapes = set(row["shape"])
        family = FAMILIES.get(row["shape"][0]) if len(shapes) == 1 else None
        colours = tuple(sorted({COLOURS[c][0] for c in row["colour"] if c in COLOURS}))
        marks = set(row["score_mark"])
        score = SCORES.get(next(iter(marks))) if len(marks) == 1 else None
        imprint = " ".join(str(m).strip() for m in (row["mark1"], row["mark2"]) if m)[:40]
        size = str(row["size_mm"][0]) if row["size_mm"] else ""
        texts = (family[1], family[2]) if family else ("pill", "알약")
        return cls(family[0] if family else None, texts, colours, score, imprint, size)

    def facts(self) -> frozenset[Fact]:
        """Everything a caption could truly state."""
        found: set[Fact] = {
            ("kind", PILL),
            ("colours", "+".join(self.colours)),
            ("imprint", self.imprint.lower()),
        }
        found |= {("colour", c) for c in self.colours}
        found.add(("family", self.family or ""))
        found.add(("score", self.score or ""))
        found.add(("size", self.size_mm))
        return frozenset(found)


KO_COLOUR = dict(COLOURS.values())


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(0, len(options)))]


def write_caption(looks: Looks, rng: np.random.Generator) -> Caption:
    """One random true caption of a product: English or Korean, coarse or detailed."""
    korean = bool(rng.random() < 0.5)
    depth = rng.random()
    facts: set[Fact] = {("kind", PILL)}
    if depth < 0.08:
        half = len(KIND_TEXTS[PILL]) // 2
        return Caption(
            _pick(rng, KIND_TEXTS[PILL][half:] if korean else KIND_TEXTS[PILL][:half]), frozenset(facts)
        )
    family = looks.family_texts[int(korean)]
    if looks.family:
        synonyms = (SYNONYMS_KO if korean else SYNONYMS_EN).get(looks.family)
        family = _pick(rng, synonyms) if synonyms and rng.random() < 0.5 else family
    show_family = rng.random() < 0.85
    show_colour = bool(looks.colours) and (not show_family or rng.random() < 0.8)
    noun = family if show_family else ("알약" if korean else "pill")
    if show_family:
        facts.add(("family", looks.family or ""))
    colour = ""
    if show_colour:
        facts.add(("colours", "+".join(looks.colours)))
        names = [KO_COLOUR[c] for c in looks.colours] if korean else list(looks.colours)
        if rng.random() < 0.5:
            names.reverse()
        colour = (", " if korean else " and ").join(names)
    extras: list[str] = []
    if depth > 0.4:
        if looks.score and rng.random() < 0.6:
            facts.add(("score", looks.score))
            extras.append(SCORE_TEXTS[looks.score][int(korean)])
        if looks.imprint and rng.random() < 0.7:
            facts.add(("imprint", looks.imprint.lower()))
            extras.append(f"각인 {looks.imprint}" if korean else f"imprint {looks.imprint}")
        if looks.size_mm and rng.random() < 0.3:
            facts.add(("size", looks.size_mm))
            extras.append(f"크기 {looks.size_mm}mm" if korean else f"{looks.size_mm} mm")
    head = f"{colour} {noun}".strip()
    if korean:
        head = _pick(rng, ("{}", "{} 사진", "{} 한 개")).format(head)
        return Caption(", ".join([head, *extras]), frozenset(facts))
    head = _pick(rng, ("a photo of a {}", "{}", "a {}", "one {}")).format(head)
    joiner = " with " if extras and rng.random() < 0.5 else ", "
    return Caption(head + (joiner + ", ".join(extras) if extras else ""), frozenset(facts))


def kind_caption(kind: str, rng: np.random.Generator) -> Caption:
    """A caption for a tile that is no whole pill."""
    return Caption(_pick(rng, KIND_TEXTS[kind]), frozenset({("kind", kind)}))


def matches(captions: list[Caption], pictures: list[frozenset[Fact]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(pictures, captions) bool: the caption's facts are all true of the picture."""
    return np.array([[c.facts <= p for c in captions] for p in pictures], bool)
