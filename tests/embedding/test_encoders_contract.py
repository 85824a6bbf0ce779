"""What every encoder promises, asked of each one: the embedded ones, an open_clip model, and policies of
them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from healtheat.core.errors import EncoderError
from healtheat.crops import CropPolicy
from healtheat.embedding import (
    DEFAULT,
    Encoder,
    EncoderSpec,
    list_encoders,
    load_encoder,
)

OPEN_CLIP = pytest.param("open_clip", marks=pytest.mark.torch)
KINDS = ["imagenet", "pill", OPEN_CLIP]


@pytest.fixture(scope="module", params=KINDS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "open_clip":
        pytest.importorskip("open_clip")
        return load_encoder(f"local-dir:{request.getfixturevalue('tiny_folder')}", device="cpu", threads=1)
    if request.param == "pill" and "pill" not in [info.name for info in list_encoders()]:
        pytest.skip("the pill encoder's files are not installed")
    return load_encoder(request.param, threads=1)


def crops_for(encoder: Encoder, count: int) -> NDArray[np.uint8]:
    side = encoder.spec.resolution_px
    coarse = np.random.default_rng(count).integers(
        0, 256, (count, side // 8 + 1, side // 8 + 1, 3), dtype=np.uint8
    )
    return np.ascontiguousarray(coarse.repeat(8, 1).repeat(8, 2)[:, :side, :side])


def test_finite_unit_rows(encoder: Encoder) -> None:
    vectors = encoder.encode(crops_for(encoder, encoder.spec.batch_size + 3))
    assert vectors.shape == (encoder.spec.batch_size + 3, encoder.spec.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_crops_no_rows(encoder: Encoder) -> None:
    assert encoder.encode(crops_for(encoder, 0)).shape == (0, encoder.spec.dim)


def test_same_bits_in_every_batch_position_and_split(encoder: Encoder) -> None:
    """A resumed build must end with the bits of an unbroken one."""
    size = encoder.spec.batch_size
    crops = crops_for(encoder, size + 5)
    whole = encoder.encode(crops)
    parts = [encoder.encode(crops[a:b]) for a, b in ((0, 1), (1, 4), (4, size + 4), (size + 4, size + 5))]
    assert (np.concatenate(parts) == whole).all()
    order = np.random.default_rng(1).permutation(len(crops))
    assert (encoder.encode(crops[order]) == whole[order]).all()


def test_different_crops_differ_and_extreme_ones_pass(encoder: Encoder) -> None:
    side = encoder.spec.resolution_px
    flat = np.stack([np.full((side, side, 3), level, np.uint8) for level in (0, 128, 255)])
    assert np.isfinite(encoder.encode(flat)).all()
    first, second = encoder.encode(crops_for(encoder, 2))
    assert first @ second < 0.999


def test_wrong_crops_are_refused(encoder: Encoder) -> None:
    side = encoder.spec.resolution_px
    for wrong in (
        np.zeros((1, side + 1, side + 1, 3), np.uint8),
        np.zeros((1, side, side, 3), np.float32),
        np.zeros((side, side, 3), np.uint8),
        np.zeros((1, 3, side, side), np.uint8),
    ):
        with pytest.raises(ValueError, match="crops: expected uint8"):
            encoder.encode(wrong)  # type: ignore[arg-type]


def test_spec_survives_json_and_gives_a_crop_policy(encoder: Encoder) -> None:
    again = EncoderSpec.model_validate_json(encoder.spec.model_dump_json())
    assert again == encoder.spec and again.fingerprint == encoder.fingerprint
    assert isinstance(encoder.spec.crop_policy(), CropPolicy)
    assert encoder.spec.crop_policy().fill == encoder.spec.fill


def test_text_vectors_fit_crop_vectors(encoder: Encoder) -> None:
    for label, vector in encoder.text_vectors("pill").items():
        assert label and vector.shape == (encoder.spec.dim,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    assert encoder.text_vectors("no such question") == {}


def test_text_weights_give_logits(encoder: Encoder) -> None:
    """Weights are the text vectors times one scale for all answers; colour in the vector changes no logit."""
    if encoder.spec.name == "imagenet":
        assert encoder.text_weights("pill") == {}
        return
    vectors, weights = encoder.text_vectors("pill"), encoder.text_weights("pill")
    assert {"pill", "background", "piece"} == set(vectors) == set(weights)
    scale = np.linalg.norm(weights["pill"])
    assert scale > 1
    for answer, vector in vectors.items():
        np.testing.assert_allclose(weights[answer] / scale, vector, atol=1e-5)


@pytest.mark.slow
def test_colour_beside_the_tower_changes_no_logit() -> None:
    plain, coloured = (load_encoder("pill", threads=1, colour_weight=w) for w in (0, 0.3))
    crops = crops_for(plain, 3)
    for question in ("pill", "colour"):
        for answer, weights in plain.text_weights(question).items():
            other = coloured.text_weights(question)[answer]
            np.testing.assert_allclose(
                plain.encode(crops) @ weights, coloured.encode(crops) @ other, atol=1e-3
            )


@pytest.fixture(params=["imagenet", OPEN_CLIP])
def load(request: pytest.FixtureRequest) -> Callable[..., Encoder]:
    name = request.param
    if name == "open_clip":
        pytest.importorskip("open_clip")
        name = f"local-dir:{request.getfixturevalue('tiny_folder')}"
    return lambda **policy: load_encoder(name, device="cpu", threads=1, **policy)


def test_views_are_averaged(load: Callable[..., Encoder]) -> None:
    """Four quarter turns: a turned crop gets the same vector, and it is the mean of the single views."""
    four = load(views=(0, 90, 180, 270), colour_weight=0)
    crops = crops_for(four, 3)
    vectors = four.encode(crops)
    turned = np.ascontiguousarray(np.rot90(crops, 1, axes=(1, 2)))
    np.testing.assert_allclose(four.encode(turned), vectors, atol=1e-5)
    singles = [load(views=(angle,), colour_weight=0).encode(crops) for angle in (0, 90, 180, 270)]
    mean = np.mean(singles, axis=0)
    np.testing.assert_allclose(vectors, mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-5)
    by_hand = load(views=(0,), colour_weight=0).encode(turned)
    np.testing.assert_allclose(singles[1], by_hand, atol=1e-6)


def test_other_angles_turn_too(load: Callable[..., Encoder]) -> None:
    plain, slanted = load(views=(0,), colour_weight=0), load(views=(45,), colour_weight=0)
    crops = crops_for(plain, 2)
    assert np.isfinite(slanted.encode(crops)).all()
    assert not np.allclose(slanted.encode(crops), plain.encode(crops), atol=1e-3)


def test_colour_block(load: Callable[..., Encoder]) -> None:
    """The cosine is the weighted mean of the network's cosine and the histograms' Bhattacharyya
    coefficient.
    """
    plain, coloured = load(views=(0,), colour_weight=0), load(views=(0,), colour_weight=0.3)
    assert coloured.spec.dim == plain.spec.dim + 64
    crops = crops_for(plain, 2)
    crops[1] = crops[0] // 2
    a, b = plain.encode(crops), coloured.encode(crops)
    middle = crops[
        :, crops.shape[1] // 4 : -(crops.shape[1] // 4), crops.shape[1] // 4 : -(crops.shape[1] // 4)
    ]
    counts = [
        np.histogramdd(m.reshape(-1, 3).astype(float), bins=[np.array([0, 64, 128, 192, 256])] * 3)[0].ravel()
        for m in middle
    ]
    shares = [count / count.sum() for count in counts]
    coefficient = np.sqrt(shares[0] * shares[1]).sum()
    assert b[0] @ b[1] == pytest.approx(0.7 * (a[0] @ a[1]) + 0.3 * coefficient, abs=1e-4)
    np.testing.assert_allclose(np.linalg.norm(b, axis=1), 1, atol=1e-5)


def test_every_setting_that_changes_vectors_changes_the_fingerprint() -> None:
    base = load_encoder("imagenet", threads=1).spec
    changed = [
        base.changed(views=(0, 90)),
        base.changed(views=(90, 0)),
        base.changed(colour_weight=0.21),
        base.changed(batch_size=8),
        base.model_copy(update={"weights_sha256": "0" * 64}),
        base.model_copy(update={"mean": (0.1, 0.1, 0.1)}),
        base.model_copy(update={"precision": "bf16"}),
        base.model_copy(update={"backend": "open_clip"}),
        base.model_copy(update={"resample": "lanczos"}),
    ]
    prints = {spec.fingerprint for spec in [base, *changed]}
    assert len(prints) == len(changed) + 1
    assert base.model_copy(update={"name": "other", "source": {}}).fingerprint == base.fingerprint


@pytest.mark.parametrize(
    "policy",
    [
        {"views": ()},
        {"colour_weight": 1.0},
        {"colour_weight": -0.1},
        {"views": (float("nan"),)},
        {"views": (0,) * 65},
    ],
)
def test_senseless_policies_are_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match="imagenet"):
        load_encoder("imagenet", **policy)


def test_embedded_encoders_run_on_the_cpu_only() -> None:
    with pytest.raises(EncoderError, match="CPU"):
        load_encoder("imagenet", device="cuda")


class Fake(Encoder):
    """Returns what it is told to."""

    def __init__(self, answer: Any) -> None:
        self.spec = EncoderSpec(
            name="fake",
            weights_sha256="0" * 64,
            tower_dim=4,
            dim=4,
            resolution_px=8,
            mean=(0, 0, 0),
            std=(1, 1, 1),
            batch_size=2,
        )
        self.answer = answer

    def _encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert batch.shape == (2, 8, 8, 3)
        return np.asarray(self.answer)


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros((2, 4), np.float32),
        np.full((2, 4), np.nan, np.float32),
        np.full((2, 4), np.inf, np.float32),
        np.ones((2, 5), np.float32),
        np.ones((1, 4), np.float32),
        np.ones((2, 4), np.float64),
    ],
)
def test_the_base_catches_networks_that_misbehave(answer: Any) -> None:
    with pytest.raises(EncoderError, match="fake"):
        Fake(answer).encode(np.zeros((2, 8, 8, 3), np.uint8))


def test_list_names_what_loads() -> None:
    infos = [info for info in list_encoders() if info.kind == "embedded"]
    assert load_encoder().spec.name == DEFAULT
    assert "imagenet" in [info.name for info in infos]
    for info in infos:
        encoder = load_encoder(info.name, threads=1)
        assert info.dim == encoder.spec.dim and info.resolution_px == encoder.spec.resolution_px
        assert info.size_bytes and info.size_bytes > 1_000_000


def test_list_measures_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    from healtheat.embedding import registry

    monkeypatch.setattr(registry, "EMBEDDED", ("imagenet",))
    monkeypatch.setattr(registry, "cached_names", lambda: [("hf-hub:../x", 5)])
    rates = {info.name: info for info in list_encoders(measure=True, threads=1)}
    assert (rates["imagenet"].crops_per_s or 0) > 0
    if "hf-hub:../x" in rates:
        assert rates["hf-hub:../x"].note.startswith("cannot be loaded")


def test_imagenet_tells_real_pills_apart(shared: Path) -> None:
    """The nearest other pill of a test image is of its class far more often than chance (0.06 to 0.2)."""
    from healtheat.crops import cut, open_image

    encoder = load_encoder("imagenet", threads=2, views=(0,), colour_weight=0)
    policy = encoder.spec.crop_policy()
    crops, classes, images = [], [], []
    for number, path in enumerate(sorted((shared / "data/pushin-pill/images/test").glob("*.jpg"))):
        text = (path.parents[2] / "labels/test" / (path.stem + ".txt")).read_text(encoding="utf-8")
        rows = np.array([[float(v) for v in line.split()] for line in text.splitlines()]).reshape(-1, 5)
        crops.append(
            cut(open_image(path.read_bytes(), path.name), rows[:, 1:], policy, encoder.spec.resolution_px)
        )
        classes += rows[:, 0].astype(int).tolist()
        images += [number] * len(rows)
    vectors = encoder.encode(np.concatenate(crops))
    cosine = vectors @ vectors.T
    cosine[np.equal.outer(images, images)] = -1
    known = [
        np.isin(c, np.array(classes)[np.array(images) != p]) for c, p in zip(classes, images, strict=True)
    ]
    same = np.array(classes)[cosine.argmax(1)] == classes
    assert same[known].mean() > 0.45
