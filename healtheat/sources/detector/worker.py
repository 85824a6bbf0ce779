"""The child process of the detector source: `python -m healtheat.sources.detector.worker`.

Reads lines of JSON on standard input and answers on standard output, one line each.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind")
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
)
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "os.fork")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def confine(home: Path, who: str = "the detector") -> None:
    """Refuse connections, programs and changes to files outside `home`, for the rest of this process.

    `who` is refused, in messages. A Python audit hook (PEP 578) cannot be taken off again. Compiled code can
    get past it, so it guards against habits, not against attacks.
    """
    inside = os.path.realpath(home)

    def allowed(path: object) -> bool:
        if isinstance(path, int) or path is None:
            return True
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
        real = os.path.realpath(text)
        try:
            return os.devnull in (text, real) or os.path.commonpath([inside, real]) == inside
        except ValueError:  # another drive
            return False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITING and not allowed(path):
                raise PermissionError(f"{who} may not write {path}")
        elif event in _NETWORK:
            raise PermissionError(f"{who} may not use the network ({event})")
        elif event in _PROGRAMS:
            raise PermissionError(f"{who} may not start programs ({event})")
        elif event in _CHANGES and not all(
            allowed(a) for a in args if isinstance(a, str | bytes | os.PathLike)
        ):
            raise PermissionError(f"{who} may not change {args[0]}")

    sys.addaudithook(hook)


class Worker:
    """A loaded model."""

    def __init__(self, request: dict[str, Any]) -> None:
        weights = request["weights"]
        onnx = weights.lower().endswith(".onnx")
        self._options = {"conf": request["conf"], "iou": request["iou"], "verbose": False, "save": False}
        if onnx:
            metadata = _onnx_metadata(weights)
            if "names" not in metadata:
                raise ValueError("the .onnx file carries no class names; export it with Ultralytics")
            task = metadata.get("task", "detect")
        self._model: Any = import_module("ultralytics").YOLO(
            weights, task=task if onnx else None, verbose=False
        )
        if self._model.task not in ("detect", "segment", "pose"):
            raise ValueError(f"a model for {self._model.task}, which gives no upright boxes; give a detector")
        if request["device"] is not None:
            self._options["device"] = request["device"]
        imgsz = request["imgsz"] or (None if onnx else self._model.overrides.get("imgsz"))
        if imgsz:
            self._options["imgsz"] = imgsz
        self.names = {int(ident): str(name) for ident, name in self._model.names.items()}

    def hello(self) -> dict[str, Any]:
        """What the parent is told of the model."""
        return {"names": self.names}

    def answer(self, request: dict[str, Any], requests: BinaryIO) -> dict[str, Any]:
        """What is on the images that `request` names."""
        return {"found": self.detect(request["images"])}

    def detect(self, images: list[str]) -> list[list[list[float]] | str]:
        """Rows (class, x, y, w, h, confidence) of each image, or why it cannot be read."""
        imread = import_module("ultralytics.utils.patches").imread
        found: list[list[list[float]] | str] = ["no pixels could be decoded"] * len(images)
        by_shape: defaultdict[tuple[int, ...], list[tuple[int, Any]]] = defaultdict(list)
        for place, path in enumerate(images):
            try:
                image = imread(path)  # as in training: EXIF orientation applied
            except Exception as error:  # OpenCV's own class is no part of Python's hierarchy of errors
                found[place] = str(error).strip().splitlines()[-1][:200]
                continue
            if image is not None:
                by_shape[image.shape].append((place, image))
        # Ultralytics pads a batch of unlike images in another way than each alone, and detects other boxes.
        for group in by_shape.values():
            results = self._model.predict([image for _, image in group], batch=len(group), **self._options)
            for (place, _), result in zip(group, results, strict=True):
                boxes = result.boxes.cpu().numpy()
                rows = [
                    [float(c), *map(float, xywhn), float(p)]
                    for c, xywhn, p in zip(boxes.cls, boxes.xywhn, boxes.conf, strict=True)
                ]
                found[place] = sorted(rows, key=lambda row: (-row[5], row[:5]))
        return found


def _onnx_metadata(weights: str) -> dict[str, str]:
    session = import_module("onnxruntime").InferenceSession(weights, providers=["CPUExecutionProvider"])
    return dict(session.get_modelmeta().custom_metadata_map)


class Serving(Protocol):
    """A loaded model that answers requests."""

    def hello(self) -> dict[str, Any]:
        """What the parent is told of the model."""
        ...

    def answer(self, request: dict[str, Any], requests: BinaryIO) -> dict[str, Any]:
        """The reply to `request`, whose content, if any, is next in `requests`."""
        ...


def serve(load: Callable[[dict[str, Any]], Serving], requests: BinaryIO, replies: BinaryIO, who: str) -> None:
    """Answer until the requests end; the first one says what to `load`."""
    model: Serving | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if model is None:
                confine(Path(request["home"]), who)
                model = load(request)
                reply = model.hello()
            else:
                reply = model.answer(request, requests)
        except Exception as error:  # whatever it is, the parent tells it
            reply = {"error": f"{type(error).__name__}: {first_line(error)}"}
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()


def first_line(error: Exception) -> str:
    """The message of `error` up to its first end of line."""
    return (str(error).strip().splitlines() or [""])[0]


def main(load: Callable[[dict[str, Any]], Serving] = Worker, who: str = "the detector") -> None:
    """Keep standard output for replies; what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(load, sys.stdin.buffer, replies, who)


if __name__ == "__main__":
    main()
