"""What was learned, as a file: it comes back as it was, and a stranger's file is checked."""

import numpy as np
import pytest
from safetensors.numpy import load, save

from healtheat.vetting import store
from healtheat.vetting.decide import Known
from healtheat.vetting.features import FEATURES, Scales
from healtheat.vetting.kinds import KINDS, KindModel
from healtheat.vetting.looks import Eyes
from healtheat.vetting.model import VetModel

D, C = 8, 3


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, D)).astype(np.float32)
    code = np.arange(60) % C
    kind = np.arange(60) % len(KINDS)
    return VetModel(
        class_ids=np.array([2, 5, 9]),
        boxes=np.full(C, 20),
        sources=np.full(C, 9),
        eyes=Eyes.fit(vectors, code, rng.normal(size=(12, D)).astype(np.float32), C),
        scales=Scales(0.1, np.ones(3), np.ones(5), np.zeros(C), 1.0),
        kinds=KindModel.fit(rng.normal(size=(60, len(FEATURES))), kind),
        known=Known(rng.normal(size=(60, len(KINDS))), kind),
        nearest=np.sort(rng.random(60)),
        tiles=rng.normal(size=(12, D)).astype(np.float32),
        reference=np.arange(4),
        fitted_on="a:b",
        crops=7,
    )


def same(a, b):
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    elif hasattr(a, "__dataclass_fields__"):
        for name in a.__dataclass_fields__:
            same(getattr(a, name), getattr(b, name))
    else:
        assert a == b


def test_there_and_back(model):
    same(model, store.from_bytes(store.to_bytes(model), D))


def test_another_version_is_made_anew(model):
    arrays = load(store.to_bytes(model)) | {"version": np.array([99])}
    assert store.from_bytes(save(arrays), D) is None


def test_another_dimension_is_refused(model):
    with pytest.raises(ValueError, match="expected"):
        store.from_bytes(store.to_bytes(model), D + 1)


def test_every_array_is_needed_and_checked(model):
    whole = load(store.to_bytes(model))
    for name in whole:
        if name in ("version", "fitted_on") or name.startswith(("logistic", "ground")):
            continue
        with pytest.raises(ValueError):
            store.from_bytes(save({k: v for k, v in whole.items() if k != name}), D)
        if whole[name].ndim and whole[name].size > 1 and name not in ("nearest", "reference", "tiles"):
            with pytest.raises(ValueError):
                store.from_bytes(save(whole | {name: whole[name][:-1].copy()}), D)
        if whole[name].dtype.kind == "f":
            with pytest.raises(ValueError):
                store.from_bytes(save(whole | {name: np.full_like(whole[name], np.nan)}), D)


def test_damage_is_an_error_and_no_crash(model):
    data = bytearray(store.to_bytes(model))
    for at in range(0, 3000, 37):
        broken = bytearray(data)
        broken[at] ^= 0x41
        try:
            store.from_bytes(bytes(broken), D)
        except ValueError:
            continue
    for cut in (0, 7, 8, 100, len(data) - 1):
        with pytest.raises(ValueError):
            store.from_bytes(bytes(data[:cut]), D)
