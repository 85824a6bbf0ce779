"""Folders from strangers: encoder.json and image.onnx that lie."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from healtheat.core.errors import EncoderError
from healtheat.embedding import load_encoder
from healtheat.embedding.onnx import OnnxEncoder

onnx = pytest.importorskip("onnx")
SIDE = 8


def network(weight: Any = None, *, outputs: int = 1) -> Any:
    """Mean over the picture times a (3, 5) matrix."""
    from onnx import TensorProto, helper, numpy_helper

    matrix = np.arange(15, dtype=np.float32).reshape(3, 5) + 1
    weight = weight if weight is not None else numpy_helper.from_array(matrix, "w")
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["features"]),
    ]
    shape = ["batch", 3, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in ("features", "flat", "mean")[:outputs]
        ],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write(folder: Path, model: bytes, **spec: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "image.onnx").write_bytes(model)
    content = {
        "name": "tiny",
        "weights_sha256": hashlib.sha256(model).hexdigest(),
        "tower_dim": 5,
        "dim": 5,
        "resolution_px": SIDE,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
    }
    (folder / "encoder.json").write_text(json.dumps(content | spec), encoding="utf-8")
    return folder


def test_a_folder_is_an_encoder(tmp_path: Path) -> None:
    folder = write(tmp_path / "폴더", network().SerializeToString())
    encoder = load_encoder(f"onnx-dir:{folder}", threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3), dtype=np.uint8)
    expected = (crops.mean((1, 2)) / 255) @ (np.arange(15).reshape(3, 5) + 1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.encode(crops), expected, atol=1e-6)


def test_questions_beside_the_network(tmp_path: Path) -> None:
    folder = write(tmp_path, network().SerializeToString())
    content = {
        "logit_scale": 20.0,
        "questions": {"pill": {"pill": {"en+ko": [0, 3, 4, 0, 0]}, "background": {"en+ko": [1, 0, 0, 0, 0]}}},
    }
    (folder / "questions.json").write_text(json.dumps(content), encoding="utf-8")
    found = OnnxEncoder.load(folder, threads=1, colour_weight=0.2).text_vectors("pill")
    assert list(found) == ["pill", "background"]
    np.testing.assert_allclose(found["pill"], [0, 0.6, 0.8, *[0] * 66], atol=1e-6)
    assert OnnxEncoder.load(folder, threads=1).text_vectors("colour") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"logit_scale": NaN, "questions": {}}',
        b'{"logit_scale": 1, "questions": {"pill": {"pill": {"en+ko": ["x"]}}}}',
        b"[" * 100_000,
    ],
)
def test_hostile_questions(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path, network().SerializeToString())
    (folder / "questions.json").write_bytes(content)
    with pytest.raises(EncoderError, match=r"questions\.json"):
        OnnxEncoder.load(folder)


@pytest.mark.parametrize("vector", [[1, 2], [0, 0, 0, 0, 0]])
def test_questions_of_another_network(tmp_path: Path, vector: list[float]) -> None:
    folder = write(tmp_path, network().SerializeToString())
    content = {"logit_scale": 20.0, "questions": {"pill": {"pill": {"en+ko": vector}}}}
    (folder / "questions.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(EncoderError, match="text vector"):
        OnnxEncoder.load(folder).text_vectors("pill")


@pytest.mark.parametrize("change", [{"backend": "torch"}, {"precision": "bf16"}])
def test_a_spec_of_another_kind_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """The manifest repeats what the spec says; it must be what was run."""
    with pytest.raises(EncoderError, match="expected backend onnx and precision fp32"):
        OnnxEncoder.load(write(tmp_path, network().SerializeToString(), **change))


@pytest.mark.parametrize(
    "content",
    [
        {"logit_scale": 0, "questions": {}},
        {"logit_scale": -5, "questions": {}},
        {"logit_scale": 1e308, "questions": {}},
        {"logit_scale": 9, "questions": {"pill": {"pill": {"en": [1, 0, 0, 0, 0]}}}},
        {"logit_scale": 9, "questions": {"pill": {"pill": {"en+ko": [1e300, 0, 0, 0, 0]}}}},
    ],
)
@pytest.mark.filterwarnings("error")
def test_questions_that_mean_nothing(tmp_path: Path, content: dict[str, Any]) -> None:
    folder = write(tmp_path, network().SerializeToString())
    (folder / "questions.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(EncoderError):
        OnnxEncoder.load(folder)


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, network().SerializeToString())
    data = bytearray((folder / "image.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "image.onnx").write_bytes(data)
    with pytest.raises(EncoderError, match=r"expected sha256 .* found"):
        OnnxEncoder.load(folder)


def test_the_library_says_nothing_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where it cannot put its error into text, it would announce another try on stdout."""
    valid = network().SerializeToString()
    at = valid.index(b"Flatten")
    folder = write(tmp_path, valid[:at] + b"\xeb\xff" + valid[at + 2 :])
    with pytest.raises(EncoderError, match=r"image\.onnx"):
        OnnxEncoder.load(folder)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["image.onnx", "encoder.json"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, network().SerializeToString())
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=name):
        OnnxEncoder.load(folder)


@pytest.mark.parametrize("place", ["initializer", "constant node"])
@pytest.mark.parametrize("where", ["secret.bin", "../secret.bin", "/etc/passwd"])
def test_tensors_in_other_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, where: str
) -> None:
    """ONNX Runtime would read them from the working folder."""
    from onnx import TensorProto, helper

    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(b"\0" * 60)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3, 5])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", where), ("offset", "0"), ("length", "60")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    model = network(tensor)
    if place == "constant node":
        model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
        del model.graph.initializer[:]
    with pytest.raises(EncoderError, match="other files"):
        OnnxEncoder.load(write(tmp_path / "folder", model.SerializeToString()))


def test_the_key_is_found_in_every_encoding_of_its_length(tmp_path: Path) -> None:
    from healtheat.embedding.onnx import _OTHER_FILES

    for length in (b"\x08", b"\x88\x00", b"\x88\x80\x00", b"\x88\x80\x80\x80\x80\x80\x80\x80\x80\x00"):
        assert _OTHER_FILES.search(b"\x0a" + length + b"location\x12\x01x")
    assert not _OTHER_FILES.search(b"\x0a\x0brelocations")


@pytest.mark.parametrize(
    "spec",
    [
        {"dim": 6},
        {"std": [0, 1, 1]},
        {"resolution_px": 10**9},
        {"batch_size": 10**9},
        {"tower_dim": 10**9, "dim": 10**9},
        {"weights_sha256": "../../etc"},
        {"extra": 1},
        {"mean": "x"},
        {"views": []},
        {"fill": [300, 0, 0]},
        {"fill": [-1, 0, 0]},
        {"batch_size": 4096, "resolution_px": 2048},
    ],
)
def test_senseless_spec(tmp_path: Path, spec: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match=r"encoder\.json") as caught:
        OnnxEncoder.load(write(tmp_path, network().SerializeToString(), **spec))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null", b'{"name": NaN}'])
def test_spec_that_is_no_spec(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path, network().SerializeToString())
    (folder / "encoder.json").write_bytes(content)
    with pytest.raises(EncoderError, match=r"encoder\.json") as caught:
        OnnxEncoder.load(folder)
    assert "\n" not in str(caught.value)


def test_network_that_does_not_fit_its_spec(tmp_path: Path) -> None:
    crops = np.ones((1, SIDE, SIDE, 3), np.uint8)
    encoder = OnnxEncoder.load(write(tmp_path / "a", network().SerializeToString(), tower_dim=4, dim=4))
    with pytest.raises(EncoderError, match=r"expected float32 \(16, 4\)"):
        encoder.encode(crops)
    encoder = OnnxEncoder.load(write(tmp_path / "b", network().SerializeToString(), resolution_px=9))
    with pytest.raises(EncoderError, match="failed"):
        encoder.encode(np.ones((1, 9, 9, 3), np.uint8))
    with pytest.raises(EncoderError, match="one input and one output"):
        OnnxEncoder.load(write(tmp_path / "c", network(outputs=2).SerializeToString()))


@pytest.mark.parametrize("model", [b"", b"\0" * 100, b"not a network", b"\x08\x07" * 50])
def test_network_that_is_none(tmp_path: Path, model: bytes, capfd: Any) -> None:
    with pytest.raises(EncoderError, match=r"cannot be loaded|failed|one input") as caught:
        OnnxEncoder.load(write(tmp_path, model))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
