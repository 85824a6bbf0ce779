"""The detector source against Ultralytics itself: same ids, boxes, confidences; quiet, offline, contained."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from healtheat.core.boxes import ProblemCode
from healtheat.core.errors import InputError
from healtheat.sources import DetectorSettings, open_source
from tests.sources.reading import Read

pytest.importorskip("ultralytics", reason="ultralytics is not installed")

# Random weights, spread so that classes and confidences differ; and what Ultralytics itself then detects.
MAKE = """
import json, sys, numpy as np, torch
from pathlib import Path
from PIL import Image
from ultralytics import YOLO
torch.manual_seed(3)
home = Path(sys.argv[1])
model = YOLO("yolo11n.yaml", verbose=False)
for layer in model.model.model[-1].cv3:
    torch.nn.init.normal_(layer[-1].weight, std=0.3)
    torch.nn.init.normal_(layer[-1].bias, mean=-3.0)
for layer in model.model.model[-1].cv2:
    torch.nn.init.normal_(layer[-1].weight, std=0.3)
# Without statistics of its own a random network answers nearly the same everywhere.
for layer in model.model.modules():
    if isinstance(layer, torch.nn.BatchNorm2d):
        layer.momentum = None
with torch.no_grad():
    model.model.train()(torch.rand(8, 3, 128, 128))
model.model.eval()
model.model.names = {i: f"약 {i}" for i in range(80)}
model.save(home / "tiny.pt")
rng = np.random.default_rng(0)
for i in range(5):
    blocks = rng.integers(0, 255, (6, 9, 3), dtype=np.uint8)
    size = (180, 100 + 20 * (i % 2))
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(home / "photos" / f"{i}.png")
def detect(weights):
    loaded = YOLO(home / weights, task="detect")
    expected = {}
    for i in range(5):
        photo = home / "photos" / f"{i}.png"
        boxes = loaded.predict(photo, conf=0.05, iou=0.5, imgsz=128, verbose=False)[0].boxes
        expected[photo.name] = boxes.data.tolist(), boxes.orig_shape
    (home / f"{weights}.json").write_text(json.dumps(expected))
    return loaded
loaded = detect("tiny.pt")
if len(sys.argv) > 2:
    loaded.export(format="onnx", imgsz=128, simplify=False, verbose=False)
    detect("tiny.onnx")
"""

# Loaded by every Python that finds it on its path: notes what is opened for writing, connections, programs.
SPY = """
import os, sys
log = os.open(os.environ["SPY_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
outward = ("socket.connect", "socket.getaddrinfo", "socket.gethost", "subprocess", "os.system")
def spy(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = os.path.realpath(args[0]) if isinstance(args[0], str) else args[0]
        os.write(log, f"write {path}\\n".encode())
    elif event.startswith(outward):
        os.write(log, f"{event} {args[0] if event == 'subprocess.Popen' else args!r}\\n".encode())
sys.addaudithook(spy)
"""

LOOKUPS = ("ldconfig", "gcc", "cc", "ld", "objdump")
SETTINGS = DetectorSettings(conf=0.05, iou=0.5, imgsz=128, batch=2, device="cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("detector")
    (home / "photos").mkdir()
    quiet = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(home / "config")}
    try:
        import onnx  # noqa: F401
    except ImportError:
        more = []
    else:
        more = ["onnx"]
    command = [sys.executable, "-c", MAKE, str(home), *more]
    subprocess.run(command, cwd=home, env={**os.environ, **quiet}, check=True, capture_output=True)
    return home


def spied(monkeypatch, tmp_path: Path) -> Path:
    """Have child processes note what they do in the returned file."""
    (tmp_path / "spy").mkdir()
    (tmp_path / "spy" / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "spy"))
    monkeypatch.setenv("SPY_LOG", str(tmp_path / "log.txt"))
    return tmp_path / "log.txt"


def check_same(read: Read, made: Path, weights: str) -> None:
    """Every image has the boxes that Ultralytics gives for it alone, best first; flat ones are problems."""
    expected = json.loads((made / f"{weights}.json").read_text(encoding="utf-8"))
    assert list(read.images) == sorted(expected)
    classes, confidences, flat = set(), set(), []
    for name, (rows, (height, width)) in expected.items():
        image = read.images[name]
        x1, y1, x2, y2, confidence, ids = np.reshape(rows, (-1, 6)).T
        w, h = (x2 - x1) / width, (y2 - y1) / height
        wanted = np.column_stack([ids, (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, w, h, confidence])
        solid = (w > 0) & (h > 0)
        flat += [name] * int(np.sum(~solid))
        wanted = wanted[solid]
        found = np.column_stack([image.boxes.class_id, image.boxes.xywhn, image.boxes.confidence])
        assert found.shape == wanted.shape
        same = np.abs(found[:, None] - wanted[None]).max(-1, initial=0) < 1e-4
        assert same.any(0).all() and same.any(1).all()
        assert np.all(np.diff(image.boxes.confidence) <= 0)
        assert np.all(np.diff(image.boxes.line) > 0) and np.all(image.boxes.line < len(rows))
        assert image.status == ("labelled" if rows else "empty") and image.label_path == ""
        classes |= set(ids)
        confidences |= set(np.round(confidence, 3))
    assert [p.file for p in read.problems if p.code == ProblemCode.BAD_DETECTION] == flat
    assert len(classes) > 5 and len(confidences) > 20  # else equal means little


def test_pt_gives_what_ultralytics_gives_and_stays_quiet(made, tmp_path, monkeypatch, capfd):
    log = spied(monkeypatch, tmp_path)
    scratch = tmp_path / "scratch"
    source = open_source(made / "photos", weights=made / "tiny.pt", detector=SETTINGS, scratch=scratch)
    read = Read(source)
    check_same(read, made, "tiny.pt")
    assert (source.kind, source.root) == ("detector", made / "photos")
    assert source.names == {i: f"약 {i}" for i in range(80)}
    assert list(read.files) == [(made / "tiny.pt").as_posix()]
    assert not list(scratch.iterdir())
    assert capfd.readouterr() == ("", "")
    noted = log.read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("write ") for line in noted)  # the spy was there
    inside = f"write {os.path.realpath(scratch)}{os.sep}"
    outside = {n for n in noted if not n.startswith(inside) and not n.removeprefix("write ").isdigit()}
    # ctypes asks these where a system library is; they are refused, see test_confinement
    lookups = {n for n in outside if n.startswith("subprocess") and Path(n.split("'")[1]).name in LOOKUPS}
    assert outside - lookups <= {f"write {os.devnull}"}


def test_onnx_gives_the_same_and_images_that_cannot_be_read_are_problems(made, tree):
    if not (made / "tiny.onnx").is_file():
        pytest.skip("onnx is not installed")
    for image in (made / "photos").iterdir():
        tree.put(image.name, image.read_bytes())
    tree.put("train/3.png", b"junk")
    tree.put("train/3b.png", b"")
    source = open_source(tree.root, weights=made / "tiny.onnx", detector=SETTINGS)
    read = Read(source)
    for name in ("train/3.png", "train/3b.png"):
        image = read.images.pop(name)
        assert (image.status, image.split, len(image.boxes)) == ("unlabelled", "train", 0)
    unread = [p.file for p in read.problems if p.code == ProblemCode.UNREADABLE_IMAGE]
    assert unread == ["train/3.png", "train/3b.png"]
    check_same(read, made, "tiny.onnx")
    assert source.names[79] == "약 79"


class Evil:
    """Unpickles into a call of exec with the given program."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __reduce__(self):
        return exec, (self.program,)


def evil_pt(path: Path, program: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(program), protocol=2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return path


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("open({outside!r}, 'w')", "PermissionError: the detector may not write"),
        ("print('hello', flush=True); __import__('os')._exit(7)", "its process ended with code 7; hello"),
    ],
)
def test_weights_that_misbehave_are_one_clear_error(made, tmp_path, program, message):
    outside = tmp_path / "outside"
    weights = evil_pt(tmp_path / "evil.pt", program.format(outside=str(outside)))
    with pytest.raises(InputError, match=message) as error:
        Read(open_source(made / "photos", weights=weights, detector=SETTINGS))
    assert str(weights) in str(error.value) and "\n" not in str(error.value)
    assert not outside.exists()


def test_weights_that_are_none(made, tmp_path):
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(InputError, match="the detector failed") as error:
        Read(open_source(made / "photos", weights=tmp_path / "junk.onnx", detector=SETTINGS))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        ("open({outside!r}, 'w')", False),
        ("open({outside!r}, 'ab')", False),
        ("os.open({outside!r}, os.O_CREAT | os.O_RDWR)", False),
        ("os.mkdir({outside!r})", False),
        ("os.remove({there!r})", False),
        ("os.rename({there!r}, 'mine')", False),
        ("os.link({there!r}, {outside!r})", False),
        ("os.chmod({there!r}, 0)", False),
        ("os.truncate({there!r}, 0)", False),
        ("socket.create_connection(('127.0.0.1', 9))", False),
        ("socket.getaddrinfo('localhost', 80)", False),
        ("subprocess.run([sys.executable, '-V'])", False),
        ("os.system('true')", False),
        ("open({there!r}).read()", True),
        ("open('mine', 'w').close()", True),
        ("os.mkdir('folder'), os.rename('folder', 'other'), os.rmdir('other')", True),
        ("open(os.devnull, 'w').close()", True),
        ("os.close(os.dup(1))", True),
    ],
)
def test_confinement(tmp_path, program, allowed):
    home, outside, there = tmp_path / "home", tmp_path / "outside", tmp_path / "there.txt"
    home.mkdir()
    there.write_text("x", encoding="utf-8")
    code = (
        "import os, socket, subprocess, sys; from pathlib import Path\n"
        "from healtheat.sources.detector.worker import confine\n"
        "confine(Path.cwd())\n" + program.format(outside=str(outside), there=str(there))
    )
    paths = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=home, env=environment, capture_output=True)
    assert (done.returncode == 0) == allowed, done.stderr.decode()
    assert allowed or b"PermissionError: the detector may not" in done.stderr
    assert not outside.exists() and there.read_text(encoding="utf-8") == "x"


def test_nothing_is_fetched_and_wrong_input_is_told_at_once(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"yolo11n\.pt: weights not found; nothing is downloaded"):
        open_source(made / "photos", weights="yolo11n.pt")
    with pytest.raises(InputError, match=r"give a .pt or .onnx file"):
        open_source(made / "photos", weights=made / "tiny.pt.json")
    with pytest.raises(InputError, match="not a folder"):
        open_source(made / "tiny.pt", weights=made / "tiny.pt")
    with pytest.raises(InputError, match="no image in it"):
        Read(open_source(tmp_path, weights=made / "tiny.pt"))
    with pytest.raises(InputError, match="kind detector needs weights"):
        open_source(made / "photos", kind="detector")
    with pytest.raises(InputError, match="weights is only for"):
        open_source(made / "photos", kind="yolo", weights=made / "tiny.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong", [{"conf": 2}, {"iou": -1}, {"imgsz": 1}, {"batch": 0}, {"conf": float("nan")}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(InputError, match=f"detector: {next(iter(wrong))} is"):
        DetectorSettings(**wrong)
