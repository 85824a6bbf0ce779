"""The shipped pill encoder as others load it: plain open_clip from the folder, no code of ours."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from healtheat.embedding import load_encoder, registry
from healtheat.embedding.questions import read_questions


def drawn(seed: int, side: int = 112) -> NDArray[np.uint8]:
    """A pill on a ground, (side, side, 3)."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), tuple(random.integers(90, 160, 3).tolist()))
    colour = tuple(random.integers(0, 256, 3).tolist())
    ImageDraw.Draw(image).ellipse((14, 22 + 4 * seed, 98, 90 - 4 * seed), fill=colour)
    return np.asarray(image)


@pytest.mark.torch
def test_plain_open_clip_loads_the_shipped_folder_and_agrees() -> None:
    """The caption block of the ONNX vector is what the shipped open_clip model says, in other precision."""
    open_clip = pytest.importorskip("open_clip")
    import torch

    folder = Path(registry.__file__).parent / "pill"
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    encoder = load_encoder("pill", threads=1, views=(0,), colour_weight=0)
    crops = np.stack([drawn(seed) for seed in range(4)])
    vectors = encoder.encode(crops)[:, :256]
    block = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 0.2**0.5, atol=1e-3)
    pixels = torch.stack([preprocess(Image.fromarray(crop)) for crop in crops])
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    with torch.inference_mode():
        image = model.eval().encode_image(pixels, normalize=True).numpy()
        texts = model.encode_text(
            tokenizer(["a photo of a pill", "empty background"]), normalize=True
        ).numpy()
    np.testing.assert_allclose(image, block, atol=0.01)
    assert ((image * block).sum(axis=1) > 0.9995).all()
    shipped = encoder.text_vectors("pill")
    own = np.stack([shipped["pill"][:256], shipped["background"][:256]])
    assert ((own @ texts.T).argmax(axis=1) == [0, 1]).all()


def test_it_is_asked_in_english_and_in_korean_alike() -> None:
    """Drawn white, red and blue round pills on grey: each language names the colour and knows a pill."""
    encoder = load_encoder("pill", threads=1)
    colours = {"white": (245, 245, 245), "red": (205, 30, 30), "blue": (40, 80, 200)}
    crops = []
    for colour in colours.values():
        image = Image.new("RGB", (112, 112), (120, 120, 118))
        ImageDraw.Draw(image).ellipse((8, 8, 104, 104), fill=colour)
        crops.append(np.asarray(image))
    vectors = encoder.encode(np.stack(crops))
    empty = encoder.encode(np.full((1, 112, 112, 3), 120, np.uint8))
    questions = read_questions(Path(registry.__file__).parent / "pill" / "questions.json")
    assert questions
    for language in ("en", "ko"):
        known = questions.vectors("colour", encoder.spec, language)
        names = np.array(list(known))[(vectors @ np.stack(list(known.values())).T).argmax(axis=1)]
        assert names.tolist() == list(colours), language
        pill = questions.vectors("pill", encoder.spec, language)
        margin = pill["pill"] - pill["background"]
        assert (vectors @ margin > 0).all() and (empty @ margin < 0).all(), language


def test_the_shipped_files_stay_small() -> None:
    folder = Path(registry.__file__).parent / "pill"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 30_000_000
