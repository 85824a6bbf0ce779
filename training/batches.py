"""Batches for the training loop: look-alikes side by side, two hard views each, captions, empty tiles."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.augment import FILL, Pill, empty_view, outline_of, view
from training.captions import EMPTY, PIECE, Looks, kind_caption, matches, write_caption
from training.textures import make_bank

Array = NDArray[Any]

IDENTITIES = 64  # two views each
EMPTIES, PIECES = 8, 6
OTHER_FACE = 0.15  # share of identities whose second view shows the other face


@dataclass(frozen=True)
class Material:
    """The cut pills and tiles in memory-mapped arrays, with facts and identities, split by product."""

    pills: Array
    rows: list[dict[str, Any]]
    identity: Array  # (n,) int: pills that must not count as each other's negatives share one
    held_out: Array  # (n,) bool
    grounds: Array  # (m, 160, 160, 3)

    def pill(self, k: int) -> Pill:
        """Pill k with its outline."""
        rgba = np.asarray(self.pills[k])
        return Pill(rgba, outline_of(rgba))


def _identities(rows: list[dict[str, Any]]) -> Array:
    """One number a product; products sharing an image, or imprint + shape + colour, are joined."""
    parent: dict[Any, Any] = {}

    def root(x: Any) -> Any:
        parent.setdefault(x, x)
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for row in rows:
        me = root(("product", row["product"]))
        keys: list[Any] = [("image", row["sha256"])]
        if row["mark1"] or row["mark2"]:
            marks = tuple(sorted(str(m).lower().replace(" ", "") for m in (row["mark1"], row["mark2"]) if m))
            keys.append((marks, tuple(sorted(set(row["shape"]))), tuple(sorted(set(row["colour"])))))
        for key in keys:
            parent[root(key)] = me
            me = root(me)
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(root(("product", r["product"])), len(numbers)) for r in rows])


def load_material(work: Path, seed: int, made_up: int = 1500) -> Material:
    """Open the work folder that `prepare` wrote. An identity with a held-out product is held out whole."""
    rows = [json.loads(line) for line in (work / "pills.jsonl").read_text(encoding="utf-8").splitlines()]
    identity = _identities(rows)
    bad = {int(i) for i, r in zip(identity, rows, strict=True) if r["held_out"]}
    held_out = np.array([int(i) in bad for i in identity])
    tiles = np.load(work / "tiles.npy", mmap_mode="r")
    grounds = np.concatenate([make_bank(made_up, seed), np.asarray(tiles)])
    return Material(np.load(work / "pills.npy", mmap_mode="r"), rows, identity, held_out, grounds)


def look_alike_groups(material: Material) -> list[Array]:
    """Training identities grouped by family and colours: the products that are hard to tell apart."""
    groups: dict[Any, set[int]] = defaultdict(set)
    for k, row in enumerate(material.rows):
        if not material.held_out[k]:
            looks = Looks.of(row)
            groups[(looks.family, looks.colours)].add(int(material.identity[k]))
    return [np.array(sorted(g)) for g in groups.values() if g]


class BatchMaker:
    """Makes the batch of a step; the same for the same seed, step and chosen identities."""

    def __init__(self, material: Material, seed: int, size: int) -> None:
        import open_clip

        from training.model import CONTEXT_TOKENS

        self.material, self.seed, self.size = material, seed, size
        self.members: dict[int, Array] = {}
        usable = np.flatnonzero(~material.held_out)
        for i in np.unique(material.identity[usable]):
            self.members[int(i)] = usable[material.identity[usable] == i]
        self.looks = [Looks.of(r) for r in material.rows]
        self.tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT_TOKENS)
        self.usable = usable

    def make(self, step: int, chosen: Array, *, gentle: bool = False) -> dict[str, Array]:
        """Images (n, s, s, 3) uint8, tokens (c, t), matches (n, c), identity and face (n,), -1: no pill.

        The second view of an identity is as hard as the first; with `gentle`, of any hardness from plain on.
        """
        rng = np.random.default_rng((self.seed, step))
        cv2.setNumThreads(1)
        m, images, identity, face = self.material, [], [], []
        facts, captions = [], []
        for i in chosen:
            mine = self.members[int(i)]
            first = int(rng.choice(mine))
            second = int(rng.choice(mine)) if rng.random() < OTHER_FACE else first
            for k, strength in ((first, 1.0), (second, float(rng.uniform()) if gentle else 1.0)):
                images.append(view(m.pill(k), m.grounds, self.size, rng, strength=strength))
                identity.append(int(i))
                face.append(k)
                facts.append(self.looks[k].facts())
            captions.append(write_caption(self.looks[first], rng))
        for kind, count in ((EMPTY, EMPTIES), (PIECE, PIECES)):
            for _ in range(count):
                if kind == EMPTY:
                    image = empty_view(m.grounds, self.size, rng)
                    if rng.random() < 0.05:
                        image = np.full_like(image, FILL)
                else:
                    image = view(m.pill(int(rng.choice(self.usable))), m.grounds, self.size, rng, bad=True)
                images.append(image)
                identity.append(-1)
                face.append(-1)
                facts.append(frozenset({("kind", kind)}))
            captions += [kind_caption(kind, rng) for _ in range(count // 2)]
        tokens = self.tokenizer([c.text for c in captions]).numpy()
        return {
            "images": np.stack(images), "tokens": tokens, "matches": matches(captions, facts),
            "identity": np.array(identity), "face": np.array(face),
        }  # fmt: skip


def choose(step: int, seed: int, groups: list[Array], *, focus: bool) -> Array:
    """Identities of one batch: groups that share family and colours, the rest at random.

    At first half of them stand in groups of up to 8; with `focus`, 85 % in groups of up to 16. Mining the
    nearest by the encoder's own vectors is not done: many of them are one tablet under two licences.
    """
    rng = np.random.default_rng((seed, step, 7))
    share, alike = (0.85, 16) if focus else (0.5, 8)
    weights = np.sqrt([len(g) for g in groups])
    weights /= weights.sum()
    chosen: dict[int, None] = {}  # in order, each once
    while len(chosen) < min(share * IDENTITIES, sum(map(len, groups)) * share):
        group = groups[int(rng.choice(len(groups), p=weights))]
        chosen.update(dict.fromkeys(rng.permutation(group)[:alike].tolist()))
    everyone = rng.permutation(np.concatenate(groups))
    chosen.update(dict.fromkeys(everyone[:IDENTITIES].tolist()))
    return np.array(list(chosen)[:IDENTITIES])
