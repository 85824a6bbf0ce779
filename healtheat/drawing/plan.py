"""Decide what is on every image of the demo set, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from healtheat.drawing.products import Product
from healtheat.drawing.textures import GROUNDS, PALETTES

WIDTH_PX, HEIGHT_PX = 976, 1280
ELEVATIONS_DEG = (70, 75, 90)  # AI Hub takes every tray from three heights
VAL_SHARE = 0.2
PX_PER_MM = 21.0
MIN_IMAGES = 12


@dataclass(frozen=True, slots=True)
class Pill:
    """One pill on an image: which product and side, where (pixels), how it is turned (radians)."""

    product: Product
    back: bool
    x_px: float
    y_px: float
    angle: float
    blurred: bool = False  # the camera did not get it sharp: planted


@dataclass(frozen=True, slots=True)
class Scene:
    """One image to be drawn. `seed` decides light, ground piece, noise: all that is left to chance."""

    index: int
    stem: str
    split: str
    pills: tuple[Pill, ...]
    ground: str
    palette: int
    elevation_deg: int
    px_per_mm: float
    light_turn: float  # radians: where the key light stands
    seed: tuple[int, int, int]
    encoding: str = "jpeg"  # or "png", or "exif": a JPEG stored lying, turned upright by its EXIF tag
    labelled: bool = True  # False: there is no label file at all


def stem(pills: Sequence[Pill], setting: str, elevation_deg: int) -> str:
    """A file name as AI Hub builds it: the drug codes on the image, then the camera's setup."""
    codes = "-".join(f"{code:06d}" for code in sorted(p.product.code for p in pills))
    return f"K-{codes}_{setting}_{elevation_deg}_000_200"


def _lay(rng: np.random.Generator, chosen: Sequence[Product], px_per_mm: float) -> tuple[Pill, ...]:
    """Pills in the four quarters of the tray, each shifted and turned at random, none touching another."""
    quarters = rng.permutation(4)[: len(chosen)]
    pills = []
    for product, quarter in zip(chosen, quarters, strict=True):
        reach = product.length_mm * px_per_mm / 2 * (1.25 if product.shape == "triangle" else 1.0) + 14
        w, h = WIDTH_PX / 2, HEIGHT_PX / 2
        left, top = (quarter % 2) * w, (quarter // 2) * h
        pills.append(
            Pill(
                product,
                bool(rng.random() < 0.35),
                float(rng.uniform(left + reach, left + w - reach)),
                float(rng.uniform(top + reach, top + h - reach)),
                float(rng.uniform(0, 2 * np.pi)),
            )
        )
    return tuple(pills)


def _nudge(rng: np.random.Generator, pill: Pill) -> Pill:
    """The tray was moved between two shots: pills shift a little and turn."""
    shift = rng.uniform(-7, 7, 2)
    turned = pill.angle + float(rng.uniform(-0.5, 0.5))
    return replace(pill, x_px=pill.x_px + float(shift[0]), y_px=pill.y_px + float(shift[1]), angle=turned)


class _Deck:
    """Deals products so that all come up about equally often, no product twice on one tray."""

    def __init__(self, products: Sequence[Product], rng: np.random.Generator) -> None:
        self.products, self.rng = products, rng
        self.cards: list[Product] = []

    def deal(self, count: int) -> list[Product]:
        hand: list[Product] = []
        passed: list[Product] = []
        while len(hand) < count:
            if not self.cards:
                self.cards = [self.products[i] for i in self.rng.permutation(len(self.products))]
            card = self.cards.pop()
            (passed if card in hand else hand).append(card)
        self.cards += passed
        return hand


def plan_scenes(seed: int, images: int, products: Sequence[Product]) -> list[Scene]:
    """`images` scenes, three to a tray, and two empty trays. A function of its arguments alone.

    The images of one tray are all in one split.
    """
    rng = np.random.default_rng([seed, 1])
    deck = _Deck(products, rng)
    scenes: list[Scene] = []
    used: set[frozenset[int]] = set()
    trays = -(-images // len(ELEVATIONS_DEG))
    in_val = set(rng.permutation(trays)[: max(1, round(VAL_SHARE * trays))].tolist())
    for tray in range(trays):
        count = int(rng.choice([4, 3, 2, 1], p=[0.64, 0.24, 0.08, 0.04]))
        chosen = deck.deal(min(count, len(products)))
        for _ in range(50):  # file names list the codes, so every tray needs a combination of its own
            if frozenset(p.code for p in chosen) not in used:
                break
            chosen = deck.deal(min(4, len(products)))
        key = frozenset(p.code for p in chosen)
        setting = "0_2_0_2" if key not in used else f"0_2_{tray + 2}_2"
        used.add(key)
        ground = GROUNDS[int(rng.integers(len(GROUNDS)))]
        palette = int(rng.integers(len(PALETTES[ground])))
        light_turn = float(rng.uniform(0, 2 * np.pi))
        scale = PX_PER_MM * float(rng.uniform(0.95, 1.05))
        laid = _lay(rng, chosen, scale)
        for elevation in ELEVATIONS_DEG:
            index = len(scenes)
            if index == images:
                break
            pills = tuple(_nudge(rng, p) for p in laid)
            name = stem(pills, setting, elevation)
            split = "val" if tray in in_val else "train"
            scenes.append(
                Scene(
                    index, name, split, pills, ground, palette, elevation, scale, light_turn, (seed, 2, index)
                )
            )
    # Harmless oddities that real sets have: another file format, a turned image, images of nothing.
    for index, encoding in ((len(scenes) // 3, "exif"), (len(scenes) // 2, "png")):
        scenes[index] = replace(scenes[index], encoding=encoding)
    for number in (1, 2):
        index = len(scenes)
        name, chance = f"빈트레이_{number:04d}", (seed, 2, index)
        empty = Scene(
            index, name, "train", (), "mat", number, 90, PX_PER_MM, 1.0, chance, labelled=number == 1
        )
        scenes.append(empty)
    return scenes
