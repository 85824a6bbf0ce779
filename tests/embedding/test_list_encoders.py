"""What `healtheat encoders` lists: folders, speed, what cannot be loaded."""

import json
import shutil
from pathlib import Path

import pytest

from healtheat.cli import run
from healtheat.core.errors import EncoderError
from healtheat.embedding import list_encoders, registry


def test_list_looks_into_folders(tmp_path: Path, tiny_folder: Path) -> None:
    own = Path(registry.__file__).parent / "imagenet"
    shutil.copytree(own, tmp_path / "models" / "mine")
    shutil.copytree(tiny_folder, tmp_path / "models" / "한글 클립")
    (tmp_path / "models" / "broken").mkdir()
    (tmp_path / "models" / "broken" / "encoder.json").write_text("{", encoding="utf-8")
    (tmp_path / "models" / "broken" / "image.onnx").write_bytes(b"no network")
    shutil.copytree(own, tmp_path / "models" / "vast")
    spec = json.loads((own / "encoder.json").read_text(encoding="utf-8"))
    vast = json.dumps(spec | {"batch_size": 4096, "resolution_px": 2048})
    (tmp_path / "models" / "vast" / "encoder.json").write_text(vast, encoding="utf-8")
    found = {i.name: i for i in list_encoders(folders=[tmp_path / "models"], measure=False)}
    mine = found[f"onnx-dir:{tmp_path / 'models' / 'mine'}"]
    assert mine.dim == 1344 and mine.size_bytes and not mine.note
    assert found[f"onnx-dir:{tmp_path / 'models' / 'broken'}"].note.startswith("cannot be loaded")
    assert "batch_size" in found[f"onnx-dir:{tmp_path / 'models' / 'vast'}"].note
    clip = found[f"local-dir:{tmp_path / 'models' / '한글 클립'}"]
    assert clip.kind == "open_clip" and (clip.size_bytes or 0) > 1000
    with pytest.raises(EncoderError, match="no such folder"):
        list_encoders(folders=[tmp_path / "nowhere"])


@pytest.mark.slow
def test_the_command_shows_size_and_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "MEASURE_S", 0.05)
    monkeypatch.setattr(registry, "cached_names", list)
    assert run(["encoders", "--json", "--threads", "1"]) == 0
    lines = {line["name"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert set(lines) == {"imagenet", "pill"} and lines["pill"]["note"] == "default"
    assert all(line["crops_per_s"] > 0 and line["size_bytes"] > 1e6 for line in lines.values())
    assert run(["encoders", "--no-speed"]) == 0
    assert "pill" in capsys.readouterr().out
    assert run(["encoders", "no/such/folder"]) == 2
    assert "no such folder" in capsys.readouterr().err
