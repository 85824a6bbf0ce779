"""The detector in a process of its own: its settings, prints and threads stay there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from healtheat.core.errors import InputError
from healtheat.core.text import shown
from healtheat.sources.detector.settings import DetectorSettings

_MAX_REPLY_BYTES = 256 * 2**20


class WorkerProcess:
    """Runs a module that `serve`s a model, and speaks lines of JSON with it. Use as a context manager."""

    def __init__(
        self,
        weights: Path,
        worker: str,
        settings: Mapping[str, Any],
        scratch: Path | None,
        *,
        called: str = "the detector",
    ) -> None:
        """`worker`: the module to run with `settings`; `called`: what messages call the model."""
        self.weights = weights
        self._worker, self._settings, self._called = worker, settings, called
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        # Absolute, for the worker runs in this very folder.
        scratch = None if scratch is None else scratch.absolute()
        self._folder = tempfile.TemporaryDirectory(
            prefix="detector-", dir=scratch, ignore_cleanup_errors=True
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.told: dict[str, Any] = {}  # what the worker says of the model it has loaded

    def __enter__(self) -> Self:
        home = Path(self._folder.name)
        try:
            with (home / "stderr.txt").open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._worker],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=home,
                    env=_environment(home),
                )
            where = {"weights": str(self.weights.absolute()), "home": str(home)}
            self.told = self.ask({**where, **self._settings})
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def ask(self, request: dict[str, Any], content: bytes = b"") -> dict[str, Any]:
        """The worker's answer to `request`, which `content` follows. Raises InputError with its reason."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.write(content)
            process.stdin.flush()
            line = process.stdout.readline(_MAX_REPLY_BYTES)
            reply = json.loads(line) if line else {"error": self._last_words()}
        except (OSError, ValueError, RecursionError):
            reply = {"error": self._last_words()}
        if not isinstance(reply, dict) or "error" in reply:
            reason = str(reply["error"]) if isinstance(reply, dict) else "it answered nonsense"
            raise InputError(f"{self.weights}: {self._called} failed: {shown(reason, 300)}")
        return reply

    def _last_words(self) -> str:
        assert self._process is not None
        self._process.kill()
        code = self._process.wait()
        log = (Path(self._folder.name) / "stderr.txt").read_bytes()[-2000:].decode("utf-8", "replace")
        lines = [line.strip() for line in log.splitlines() if line.strip()]
        return f"its process ended with code {code}; {lines[-1] if lines else 'it said nothing'}"

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # unsent bytes to a process that has gone
                        continue
        self._folder.cleanup()


class DetectorProcess(WorkerProcess):
    """A YOLO detector."""

    def __init__(self, weights: Path, settings: DetectorSettings, scratch: Path | None) -> None:
        s = settings
        given = {"conf": s.conf, "iou": s.iou, "imgsz": s.imgsz, "device": s.device}
        super().__init__(weights, "healtheat.sources.detector.worker", given, scratch)

    @property
    def names(self) -> Any:
        """Class id → name, as the weights say; unchecked."""
        return self.told.get("names")

    def detect(self, images: Sequence[Path]) -> list[list[list[float]] | str]:
        """For each image its rows (class, x, y, w, h, confidence), or why it could not be read."""
        found = self.ask({"images": [str(path.absolute()) for path in images]}).get("found")
        if not isinstance(found, list) or len(found) != len(images):
            raise InputError(f"{self.weights}: the detector answered for other images than it was asked for")
        return found


def _environment(home: Path) -> dict[str, str]:
    """The environment that keeps Ultralytics, PyTorch and Matplotlib quiet and inside `home`."""
    package_home = str(Path(__file__).resolve().parents[3])
    paths = [package_home, *filter(None, [os.environ.get("PYTHONPATH")])]
    own = str(home)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "YOLO_OFFLINE": "true",  # no usage analytics, no version check, no downloads
        "YOLO_AUTOINSTALL": "false",  # no pip
        "YOLO_VERBOSE": "false",
        "YOLO_CONFIG_DIR": own,
        "MPLCONFIGDIR": own,
        "TORCH_HOME": own,
        "XDG_CACHE_HOME": own,
        "XDG_CONFIG_HOME": own,
        "CUDA_CACHE_PATH": own,
        "TMPDIR": own,
        "TEMP": own,
        "TMP": own,
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(80_000_000),  # decompression bombs
        # Ultralytics would set it to 1, which suits training with many workers.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1)),
    }
