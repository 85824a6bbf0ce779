"""What other libraries say does not reach the user's screen; the filters of a program stay as they are."""

import io
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import healtheat.cli
from healtheat.cli import run
from healtheat.commands._quiet import others_quiet
from healtheat.commands._terminal import note
from healtheat.vetting.drift import drift

SAYERS: dict[str, Callable[[], object]] = {
    "C code": lambda: os.write(2, b"raw\n"),
    "a child": lambda: subprocess.run([sys.executable, "-c", "import os; os.write(2, b'raw')"], check=True),
    "a warning": lambda: warnings.warn("raw", RuntimeWarning, stacklevel=1),
    "a logger": lambda: logging.getLogger("some.library").error("raw"),
    "the root logger": lambda: logging.warning("raw"),
}


def damaged_tiff() -> bytes:
    """libtiff itself complains about it, in C."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "TIFF", compression="tiff_deflate")
    content = bytearray(file.getvalue())
    content[200:204] = b"\0\1\2\3"
    return bytes(content)


@pytest.mark.parametrize("who", SAYERS)
def test_others_are_not_heard(
    who: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEALTHEAT_TRACEBACK", raising=False)

    def command(*_: object, **__: object) -> None:
        SAYERS[who]()
        note("ours")

    monkeypatch.setattr(healtheat.cli, "app", command)
    assert run([]) == 0
    assert capfd.readouterr().err == "ours\n"
    os.write(2, b"back\n")
    assert capfd.readouterr().err == "back\n", "afterwards all is as it was"


def test_they_are_shown_to_who_looks_for_a_fault(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEALTHEAT_TRACEBACK", "1")
    with others_quiet():
        os.write(2, b"raw\n")
    assert capfd.readouterr().err == "raw\n"


def test_all_stays_where_no_descriptor_is_left(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", full)
        with others_quiet():
            note("ours")
    assert capfd.readouterr().err == "ours\n"


def said_by(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "HEALTHEAT_TRACEBACK"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


def test_a_process_prints_its_own_alone(tmp_path: Path) -> None:
    """As a user runs it: `sys.stderr` is the standard error, and libtiff writes beside it."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.tif").write_bytes(damaged_tiff())
    (images / "a.txt").write_text("0 .5 .5 .5 .5\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [a]\n", encoding="utf-8")
    code = "import sys; from healtheat.crops.decode import open_image\n"
    decode = f"{code}open_image(open({str(images / 'a.tif')!r}, 'rb').read())"
    raw = said_by("-c", decode)
    assert "ZIPDecode" in raw.stderr, "libtiff says something of this file"
    build = ("-m", "healtheat", "build", str(tmp_path / "data.yaml"), "--encoder", "imagenet")
    done = said_by(*build, "--index", str(tmp_path / "i"))
    assert "ZIPDecode" not in done.stderr + done.stdout and "Warning" not in done.stderr
    assert done.returncode in (0, 2) and "cannot be decoded" in done.stdout + done.stderr
    wrong = said_by("-m", "healtheat", "query", "--index", str(tmp_path / "no"))
    assert wrong.returncode == 2 and wrong.stderr.startswith("healtheat: ")


def test_importing_changes_no_filter() -> None:
    code = (
        "import warnings, logging, pkgutil, importlib\n"
        "import numpy, scipy.stats, sklearn.linear_model, PIL.Image, duckdb, pyarrow, faiss\n"
        "import onnxruntime, fastapi, uvicorn, typer, rich.console\n"
    )
    packages = ("crops", "signals", "vetting", "embedding", "index", "building", "findings", "api")
    ours = "".join(f"import healtheat.{name}\n" for name in packages)
    ask = "print(len(warnings.filters), logging.getLogger().handlers)\n"
    before, after = (
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
        for text in (code.replace("", "") + ask, code + ours + ask)
    )
    assert before == after


@pytest.mark.filterwarnings("error")
def test_drift_asks_for_nothing_that_scipy_cannot_have() -> None:
    random = np.random.default_rng(0)
    for n, m in ((1, 1), (7, 8), (9973, 9967), (3, 20000)):
        found = drift(random.random(n), random.random(m), None)
        assert 0 <= found.distance <= 1
    assert drift(random.random(3000), random.random(2000) / 2, None).strong
