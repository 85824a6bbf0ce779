import json
import logging
import os
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healtheat.core.errors import EncoderError
from healtheat.embedding import list_encoders, load_encoder
from tests.embedding.tiny_clip import TINY, write_model

open_clip = pytest.importorskip("open_clip")
torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test here may use the network; the hub cache is empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_saved_model_gives_open_clips_own_vectors(
    tiny_folder: Path, tiny_model: Any, random_crops: Any
) -> None:
    encoder = load_encoder(f"local-dir:{tiny_folder}", device="cpu", precision="fp32")
    crops = random_crops(21, 48)
    transform = open_clip.image_transform(
        48, is_train=False, mean=encoder.spec.mean, std=encoder.spec.std, resize_mode="longest"
    )
    from PIL import Image

    images = torch.stack([transform(Image.fromarray(crop)) for crop in crops])
    with torch.inference_mode():
        expected = tiny_model.encode_image(images, normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode(crops), expected, atol=2e-6)
    assert encoder.spec.dim == 24 and encoder.spec.resolution_px == 48 and encoder.spec.precision == "fp32"
    assert encoder.spec.mean == (0.48, 0.46, 0.41) and encoder.spec.fill == (122, 117, 105)
    assert encoder.spec.resample == "bicubic"


def test_loading_prints_warns_and_logs_nothing(tiny_folder: Path, capfd: Any, caplog: Any) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        load_encoder(f"local-dir:{tiny_folder}", device="cpu")
    assert capfd.readouterr() == ("", "")


def test_the_same_weights_elsewhere_are_the_same_encoder(
    tiny_folder: Path, tiny_model: Any, tmp_path: Path
) -> None:
    first = load_encoder(f"local-dir:{tiny_folder}", device="cpu")
    moved = load_encoder(f"local-dir:{shutil.copytree(tiny_folder, tmp_path / 'moved')}", device="cpu")
    assert moved.fingerprint == first.fingerprint
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    shutil.copy(tiny_folder / "open_clip_config.json", pickled)
    torch.save(tiny_model.state_dict(), pickled / "open_clip_pytorch_model.bin")
    assert load_encoder(f"local-dir:{pickled}", device="cpu").fingerprint == first.fingerprint


def test_another_weight_or_activation_is_another_encoder(
    tiny_folder: Path, tiny_model: Any, tmp_path: Path
) -> None:
    first = load_encoder(f"local-dir:{tiny_folder}", device="cpu").fingerprint
    quick = write_model(tmp_path / "quick", tiny_model, TINY | {"quick_gelu": True})
    assert load_encoder(f"local-dir:{quick}", device="cpu").fingerprint != first
    torch.manual_seed(6)
    other = write_model(tmp_path / "other", open_clip.CLIP(**TINY), TINY)
    assert load_encoder(f"local-dir:{other}", device="cpu").fingerprint != first


def test_missing_weights_are_an_error(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_folder / "open_clip_config.json", tmp_path)
    with pytest.raises(EncoderError, match="no weights"):
        load_encoder(f"local-dir:{tmp_path}")


def test_incomplete_weights_are_an_error(tiny_folder: Path, tiny_model: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    shutil.copy(tiny_folder / "open_clip_config.json", tmp_path)
    state = tiny_model.state_dict()
    del state["visual.conv1.weight"]
    save_file(state, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(EncoderError, match=r"visual\.conv1\.weight"):
        load_encoder(f"local-dir:{tmp_path}")


def test_weights_of_another_shape_are_an_error(tiny_folder: Path, tmp_path: Path) -> None:
    config = TINY | {"embed_dim": 25}
    text = json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    shutil.copy(tiny_folder / "open_clip_model.safetensors", tmp_path)
    (tmp_path / "open_clip_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(EncoderError, match="size mismatch"):
        load_encoder(f"local-dir:{tmp_path}")


def test_several_unnamed_weights_are_an_error(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_folder / "open_clip_config.json", tmp_path)
    for name in ("epoch_1.safetensors", "epoch_2.safetensors"):
        shutil.copy(tiny_folder / "open_clip_model.safetensors", tmp_path / name)
    with pytest.raises(EncoderError, match="several weights"):
        load_encoder(f"local-dir:{tmp_path}")


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "weights.pth"])
@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_pickles_run_no_code(tiny_folder: Path, tmp_path: Path, name: str, how: str) -> None:
    shutil.copy(tiny_folder / "open_clip_config.json", tmp_path)
    trap = tmp_path / "ran"
    if how == "torch":
        torch.save({"visual.proj": _Touch(trap)}, tmp_path / name)
    else:
        (tmp_path / name).write_bytes(pickle.dumps({"visual.proj": _Touch(trap)}))
    with pytest.raises(EncoderError):
        load_encoder(f"local-dir:{tmp_path}")
    assert not trap.exists()


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"model_cfg": 3}',
        b'{"model_cfg": {"vision_cfg": [], "text_cfg": {}}}',
        b'{"model_cfg": {"embed_dim": "x", "vision_cfg": {}, "text_cfg": {}}}',
        b'{"model_cfg": {"embed_dim": 8, "vision_cfg": {"no_such_field": 1}, "text_cfg": {}}}',
    ],
)
def test_hostile_config_is_an_error(tiny_folder: Path, tmp_path: Path, config: bytes) -> None:
    shutil.copy(tiny_folder / "open_clip_model.safetensors", tmp_path)
    (tmp_path / "open_clip_config.json").write_bytes(config)
    with pytest.raises(EncoderError) as caught:
        load_encoder(f"local-dir:{tmp_path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tower", "key", "value"),
    [
        ("text_cfg", "hf_model_name", "someone/text-tower"),
        ("vision_cfg", "timm_model_name", "hf-hub:someone/tower"),
        ("vision_cfg", "timm_model_name", "local-dir:/etc"),
    ],
)
def test_config_of_a_folder_reaches_nowhere_else(
    tiny_folder: Path, tmp_path: Path, tower: str, key: str, value: str
) -> None:
    shutil.copy(tiny_folder / "open_clip_model.safetensors", tmp_path)
    config = TINY | {tower: TINY[tower] | {key: value}}
    text = json.dumps({"model_cfg": config, "preprocess_cfg": {}})
    (tmp_path / "open_clip_config.json").write_text(text, encoding="utf-8")
    with pytest.raises(EncoderError, match="another repository"):
        load_encoder(f"local-dir:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-32/openai", "QuickGELU mismatch.*ViT-B-32-quickgelu/openai"),
        ("ViT-B-32-quickgelu/laion2b_s34b_b79k", "QuickGELU mismatch|unknown encoder"),
        ("ViT-B-33/laion2b_s34b_b79k", "no model 'ViT-B-33'"),
        ("ViT-B-32/laion3b", "weights of ViT-B-32 are .*laion2b_s34b_b79k"),
        ("ViT-B-32/", "unknown encoder"),
        ("ViT-B-32//etc/passwd", "unknown encoder"),
        ("ViT-B-32/laion2b_s34b_b79k", "HF_HUB_OFFLINE is set.*local-dir"),
        ("hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "HF_HUB_OFFLINE is set.*local-dir"),
        ("hf-hub:../../etc/passwd", "hf-hub"),
        ("hf-hub:", "hf-hub"),
        ("local-dir:", "local-dir"),
        ("local-dir:/no/such/folder", "no such folder"),
        ("nonsense", "unknown encoder 'nonsense': expected auto .the default of a build., default, "),
        ("", "unknown encoder"),
    ],
)
def test_names_that_cannot_be_loaded(name: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)


def test_without_network_the_error_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens on the discard port
    with pytest.raises(EncoderError, match="no network"):
        load_encoder("ViT-B-32/laion2b_s34b_b79k")


def test_cached_hub_weights_need_no_network(tiny_folder: Path, tmp_path: Path, random_crops: Any) -> None:
    """A cache as huggingface_hub lays it out."""
    repo = tmp_path / "hub" / "models--someone--tiny-clip"
    revision = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(tiny_folder, repo / "snapshots" / revision)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(revision, encoding="utf-8")
    encoder = load_encoder("hf-hub:someone/tiny-clip", device="cpu")
    size = (tiny_folder / "open_clip_model.safetensors").stat().st_size
    listed = {info.name: info.size_bytes for info in list_encoders() if info.kind == "open_clip"}
    assert listed == {"hf-hub:someone/tiny-clip": size}
    assert encoder.fingerprint == load_encoder(f"local-dir:{tiny_folder}", device="cpu").fingerprint


def test_weights_cached_under_a_tag_are_listed_under_it(tiny_folder: Path, tmp_path: Path) -> None:
    repo = tmp_path / "hub" / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K"
    revision = "0123456789abcdef0123456789abcdef01234567"
    (repo / "snapshots" / revision).mkdir(parents=True)
    shutil.copy(tiny_folder / "open_clip_model.safetensors", repo / "snapshots" / revision)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(revision, encoding="utf-8")
    assert "ViT-B-32/laion2b_s34b_b79k" in [info.name for info in list_encoders()]
    with pytest.raises(EncoderError, match="ViT-B-32/laion2b_s34b_b79k"):  # these are not ViT-B/32's weights
        load_encoder("ViT-B-32/laion2b_s34b_b79k", device="cpu")


@pytest.mark.parametrize("can", [{}, {"avx512_bf16": True}, {"amx_bf16": True}, {"avx512_bf16": False}])
def test_precision_goes_by_the_processor(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, random_crops: Any, can: dict[str, bool]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    encoder = load_encoder(f"local-dir:{tiny_folder}", device="cpu")
    assert encoder.spec.precision == ("bf16" if any(can.values()) else "fp32")
    exact = load_encoder(f"local-dir:{tiny_folder}", device="cpu", precision="fp32")
    assert (encoder.fingerprint == exact.fingerprint) == (encoder.spec.precision == "fp32")
    crops = random_crops(20, 48)
    cosine = (encoder.encode(crops) * exact.encode(crops)).sum(1)
    assert cosine.min() > 0.999


def test_unknown_precision_is_an_error(tiny_folder: Path) -> None:
    for name in (f"local-dir:{tiny_folder}", "imagenet"):
        with pytest.raises(EncoderError, match="precision"):
            load_encoder(name, device="cpu", precision="int8")


def test_unavailable_device_is_an_error(tiny_folder: Path) -> None:
    for device in ("cuda:99", "tpu"):
        with pytest.raises(EncoderError, match="device"):
            load_encoder(f"local-dir:{tiny_folder}", device=device)


def test_without_open_clip_the_error_says_how_to_get_it(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(EncoderError, match=r'pip install "healtheat\[clip\]"'):
        load_encoder(f"local-dir:{tiny_folder}")
