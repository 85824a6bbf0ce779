"""The training loop: resumes after a kill, keeps an average of the weights, writes its curve as CSV."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from healtheat.core.atomic import replacing_file, write_file
from training.batches import BatchMaker, Material, choose, load_material, look_alike_groups
from training.losses import caption_loss, identity_loss
from training.model import RESOLUTION_PX, as_input, build_model, fold_batch_norm
from training.validate import held_out_views, retrieval

_maker: BatchMaker | None = None


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights, the data aside."""

    seed: int = 0
    steps: int = 2100
    restart_at: int = (
        900  # the second cycle starts from the averaged weights of the first, with a new optimiser
    )
    warmup: int = 40
    lr_tower: float = 2e-4
    lr_new: float = 1e-3
    weight_decay: float = 0.02
    temperature: float = 0.1
    other_face_weight: float = 0.5
    caption_weight: float = 0.25
    focus_from: int = 450  # from this step on, batches are mostly look-alikes and the temperature is lower
    focus_temperature: float = 0.06
    average: float = 0.99
    frozen_blocks: int = 2
    size: int = RESOLUTION_PX
    check_every: int = 100
    save_every: int = 50


def _start_maker(work: str, seed: int, size: int) -> None:
    global _maker
    os.nice(1)
    _maker = BatchMaker(load_material(Path(work), seed), seed, size)


def _make(step: int, chosen: Any, gentle: bool) -> dict[str, Any]:
    assert _maker is not None
    return _maker.make(step, chosen, gentle=gentle)


def _rate(step: int, s: Settings) -> float:
    """Linear warm-up, then a half cosine to 2 %; once a cycle (warm restarts, Loshchilov and Hutter 2017)."""
    first, last = (0, min(s.restart_at, s.steps)) if step < s.restart_at else (s.restart_at, s.steps)
    step -= first
    if step < s.warmup:
        return (step + 1) / s.warmup
    done = (step - s.warmup) / max(1, last - first - s.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Trainer:
    """Model, average and optimiser of one run; `save` and `load` carry all of it."""

    def __init__(self, work: Path, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.work, self.s, self.step = work, settings, 0
        self.material: Material = load_material(work, settings.seed)
        self.groups = look_alike_groups(self.material)
        self.model = build_model(imagenet=True)
        fold_batch_norm(self.model.visual.trunk)
        self.model.to(memory_format=torch.channels_last)
        trunk = self.model.visual.trunk
        frozen = [trunk.conv_stem, *trunk.blocks[: settings.frozen_blocks]]
        for part in frozen:
            part.requires_grad_(False)
        tower = [p for p in trunk.parameters() if p.requires_grad]
        known = {id(p) for p in trunk.parameters()}
        new = [p for p in self.model.parameters() if id(p) not in known]
        self.parts = [{"params": tower, "lr": settings.lr_tower}, {"params": new, "lr": settings.lr_new}]
        self.optimiser = self._new_optimiser()
        self.base_rates = [g["lr"] for g in self.optimiser.param_groups]
        self.average = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self.seconds = 0.0

    def _new_optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            [dict(part) for part in self.parts], weight_decay=self.s.weight_decay, betas=(0.9, 0.98)
        )

    def restart(self) -> None:
        """Go on from the averaged weights with a fresh optimiser."""
        self.model.load_state_dict({**self.model.state_dict(), **self.average})
        self.optimiser = self._new_optimiser()

    def state(self) -> dict[str, Any]:
        kept = ("step", "seconds", "average")
        return {name: getattr(self, name) for name in kept} | {
            "settings": asdict(self.s),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def save(self, path: Path) -> None:
        with replacing_file(path) as temporary, temporary.open("wb") as file:
            torch.save(self.state(), file)  # a path would put its random name into the archive

    def load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        if {**state["settings"], "steps": 0} != {**asdict(self.s), "steps": 0}:
            raise ValueError(f"{path}: was trained with {state['settings']}, asked for {asdict(self.s)}")
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name in ("step", "seconds", "average"):
            setattr(self, name, state[name])

    def train_step(self, batch: dict[str, Any]) -> dict[str, float]:
        """One step on one batch; returns its losses."""
        s = self.s
        if self.step == s.restart_at:
            self.restart()
        for group, base in zip(self.optimiser.param_groups, self.base_rates, strict=True):
            group["lr"] = base * _rate(self.step, s)
        identity, face = torch.from_numpy(batch["identity"]), torch.from_numpy(batch["face"])
        image = F.normalize(self.model.visual(as_input(batch["images"])), dim=1)
        text = self.model.encode_text(torch.from_numpy(batch["tokens"]), normalize=True)
        scale = self.model.logit_scale.exp().clamp(max=60)
        told = identity_loss(
            image,
            identity,
            face,
            temperature=s.focus_temperature if self.step >= s.focus_from else s.temperature,
            other_face_weight=s.other_face_weight,
        )
        matched = caption_loss(image, text, torch.from_numpy(batch["matches"]), scale)
        loss = told + s.caption_weight * matched
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimiser.step()
        with torch.no_grad():
            decay = min(s.average, (self.step + 1) / (self.step + 10))
            for name, p in self.model.named_parameters():
                if p.requires_grad:
                    self.average[name].lerp_(p, 1 - decay)
        self.step += 1
        return {
            "loss": float(loss.detach()),
            "identity": float(told.detach()),
            "caption": float(matched.detach()),
        }

    def averaged(self) -> Any:
        """A model in evaluation mode holding the averaged weights (still with folded batch norms)."""
        model = build_model(imagenet=False)
        fold_batch_norm(model.visual.trunk)
        model.load_state_dict({**self.model.state_dict(), **self.average})
        return model.eval()


def add_row(curve: Path, row: dict[str, Any]) -> None:
    """Append `row`; rows of the same or later steps, from before a kill, are dropped."""
    old: list[dict[str, Any]] = []
    if curve.exists():
        with curve.open(encoding="utf-8", newline="") as f:
            old = [known for known in csv.DictReader(f) if int(known["step"]) < row["step"]]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, row.keys(), extrasaction="ignore")
    writer.writeheader()
    writer.writerows([*old, row])
    write_file(curve, text.getvalue().encode())


def train(work: Path, settings: Settings, tell: Callable[[str], None]) -> Path:
    """Train or go on training in `work`; returns the checkpoint path. `tell` gets one line a report."""
    path, curve = work / "checkpoint.pt", work / "curve.csv"
    trainer = Trainer(work, settings)
    if path.exists():
        trainer.load(path)
        tell(f"resumed at step {trainer.step}")
    views = held_out_views(trainer.material, settings.size, settings.seed)
    with ProcessPoolExecutor(
        1, get_context("spawn"), initializer=_start_maker, initargs=(str(work), settings.seed, settings.size)
    ) as pool:
        waiting: deque[Future[dict[str, Any]]] = deque()
        ahead = trainer.step
        started = time.perf_counter()
        seen: dict[str, deque[float]] = {}
        while trainer.step < settings.steps:
            while len(waiting) < 3 and ahead < settings.steps:
                waiting.append(
                    pool.submit(
                        _make,
                        ahead,
                        choose(ahead, settings.seed, trainer.groups, focus=ahead >= settings.focus_from),
                        ahead >= settings.restart_at,
                    )
                )
                ahead += 1
            losses = trainer.train_step(waiting.popleft().result())
            for name, value in losses.items():
                seen.setdefault(name, deque(maxlen=settings.check_every)).append(value)
            if trainer.step % 10 == 0:
                trainer.seconds += time.perf_counter() - started
                started = time.perf_counter()
                recent = " ".join(f"{k} {np.mean(v):.3f}" for k, v in seen.items())
                tell(f"step {trainer.step} {trainer.seconds:.0f} s {recent}")
            if trainer.step % settings.check_every == 0 or trainer.step == settings.steps:
                found = retrieval(trainer.averaged(), views)
                row = {
                    "step": trainer.step,
                    "seconds": round(trainer.seconds),
                    **{name: round(float(np.mean(values)), 4) for name, values in seen.items()},
                    **found,
                }
                add_row(curve, row)
                tell(str(row))
                trainer.save(work / f"step{trainer.step:05d}.pt")
            if trainer.step % settings.save_every == 0 or trainer.step == settings.steps:
                trainer.save(path)
    return path
