"""A flipped byte, a cut, a missing or an extra file: found when the index is opened or verified."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from healtheat.core import atomic
from healtheat.core.errors import BadIndex, InputError
from healtheat.index import FORMAT_VERSION, Index, NewVerdict
from healtheat.index.manifest import Manifest
from tests.building.conftest import Build
from tests.hostile.indexes import sparse_signed

LAST_WORDS = "who: 김약사"


@pytest.fixture
def built(build_small: Build, index_path: Path) -> Path:
    """An index with a few verdicts in it."""
    build_small()
    with Index.open(index_path) as index:
        index.judging.append(NewVerdict(box_id=1, issue="mislabel", verdict="drop", who=LAST_WORDS))
        index.judging.append(
            NewVerdict(box_id=2, issue="mislabel", verdict="relabel", relabel_to=3, who=LAST_WORDS)
        )
    return index_path


def _files(index_path: Path) -> list[Path]:
    """Every file of the index besides the empty lock files."""
    return [f for f in sorted(index_path.rglob("*")) if f.is_file() and not f.name.endswith("lock")]


def _found(index_path: Path) -> str:
    with pytest.raises(BadIndex) as error:
        Index.open(index_path)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_index_consists_of_the_files_that_its_format_names(built: Path) -> None:
    names = {file.relative_to(built).as_posix() for file in _files(built)}
    assert names == {
        "manifest.json",
        "catalog.duckdb",
        "vectors/0.faiss",
        "vectors/3.faiss",
        "vectors/7.faiss",
        "vectors/background.faiss",
        "verdicts.jsonl",
        "verdicts.head.json",
    }


def test_a_flipped_byte_in_any_file_is_found_when_the_index_is_opened(built: Path) -> None:
    for file in _files(built):
        good = file.read_bytes()
        n = len(good)
        for position in sorted({0, 1, n // 7, n // 3, n // 2, n - 40, n - 2, n - 1} & set(range(n))):
            for bit in (0x01, 0x20, 0x80):
                file.write_bytes(good[:position] + bytes([good[position] ^ bit]) + good[position + 1 :])
                assert file.name in _found(built), f"{file.name}: byte {position}, bit {bit}"
        file.write_bytes(good)
    with Index.open(built) as index:
        assert index.verify() == []


def test_every_byte_of_the_small_files_counts(built: Path) -> None:
    for name in ("verdicts.jsonl", "verdicts.head.json"):
        good = (built / name).read_bytes()
        for position in range(len(good)):
            changed = good[:position] + bytes([good[position] ^ 0x04]) + good[position + 1 :]
            (built / name).write_bytes(changed)
            assert "verdicts" in _found(built), f"{name}: byte {position}"
        (built / name).write_bytes(good)


def test_a_file_that_is_cut_or_grown_is_found(built: Path) -> None:
    for file in _files(built):
        good = file.read_bytes()
        for size in (0, 1, len(good) // 2, len(good) - 1):
            file.write_bytes(good[:size])
            assert file.name in _found(built), f"{file.name}: {size} of {len(good)} bytes"
        file.write_bytes(good + b"\0")
        if file.name == "verdicts.jsonl":  # what a killed append leaves: no damage, but told
            with Index.open(built) as index:
                assert [p for p in index.verify() if "verdicts.jsonl" in p]
        else:
            assert file.name in _found(built)
        file.write_bytes(good)


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("catalog.duckdb", 1 << 35, "which were never written"),
        ("catalog.duckdb", 1 << 40, "expected at most 68719476736 bytes"),
        ("vectors/0.faiss", 1 << 38, "found 274877906944"),
    ],
)
def test_a_size_that_no_build_gives_is_refused_unread(
    built: Path, name: str, size: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse_signed(name, size)(built)
    monkeypatch.setattr(atomic, "_BLOCK_BYTES", -1)  # reading such a file at once would fail
    found = _found(built)
    assert name in found and words in found and "build the index again" in found


def test_a_missing_file_is_found(built: Path) -> None:
    for file in _files(built):
        if file.name == "verdicts.head.json":
            continue  # deleting it is the documented way to go on with a log that lost lines
        good = file.read_bytes()
        file.unlink()
        assert file.name in _found(built)
        file.write_bytes(good)


def test_two_files_swapped_are_found(built: Path) -> None:
    a, b = built / "vectors" / "0.faiss", built / "vectors" / "3.faiss"
    one, other = a.read_bytes(), b.read_bytes()
    assert len(one) == len(other)
    a.write_bytes(other)
    b.write_bytes(one)
    assert "vectors" in _found(built)


@pytest.mark.parametrize(
    "name", ["extra.txt", "vectors/99.faiss", "vectors/deep/1.faiss", "catalog.duckdb.wal"]
)
def test_an_extra_file_is_told_by_verify(built: Path, name: str) -> None:
    """Also where it came after the index was opened."""
    with Index.open(built) as index:
        (built / name).parent.mkdir(exist_ok=True)
        (built / name).write_bytes(b"x")
        assert any(Path(name).name in problem for problem in index.verify())
    with pytest.raises(BadIndex, match="not part of the index; remove it"):
        Index.open(built)


def test_what_file_managers_leave_does_not_matter(built: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (built / name).write_bytes(b"x")
    with Index.open(built) as index:
        assert index.verify() == []


def test_damage_while_the_index_is_open_is_told_by_verify(built: Path) -> None:
    with Index.open(built) as index:
        assert index.verify() == []
        shard = built / "vectors" / "0.faiss"
        good = shard.read_bytes()
        shard.write_bytes(good[:-1] + b"\xff")
        assert any("0.faiss" in problem for problem in index.verify())


def test_the_verify_command_fails_on_a_damaged_index(built: Path) -> None:
    from healtheat.cli import app

    assert CliRunner().invoke(app, ["verify", "--index", str(built)]).exit_code == 0
    shard = built / "vectors" / "0.faiss"
    shard.write_bytes(b"\xff" + shard.read_bytes()[1:])
    result = CliRunner().invoke(app, ["verify", "--index", str(built)])
    assert result.exit_code != 0


def test_building_again_mends_a_damaged_index(built: Path, build_small: Build) -> None:
    shard = built / "vectors" / "0.faiss"
    good = shard.read_bytes()
    shard.write_bytes(good[:100] + b"\0\1\2\3" + good[104:])
    report = build_small()
    assert "0.faiss" in report.note
    assert report.reused == 0
    assert shard.read_bytes() == good
    with Index.open(built) as index:
        assert index.verify() == []
        assert len(index.verdicts()) == 2


def _rewrite(index_path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change the manifest as someone would who can compute its checksum."""
    from healtheat.index import manifest as module

    path = index_path / "manifest.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    body.pop("checksum")
    change(body)
    path.write_bytes(module._layout({**body, "checksum": module._checksum(body)}))


def test_another_format_version_is_refused_with_both_values(built: Path, build_small: Build) -> None:
    _rewrite(built, lambda body: body.update(format_version=FORMAT_VERSION + 1))
    message = _found(built)
    both = f"expected format version {FORMAT_VERSION}, found {FORMAT_VERSION + 1}"
    assert both in message
    with pytest.raises(BadIndex, match=both):
        build_small()  # nor is it built over


def test_settings_of_another_version_are_refused_with_both_values(built: Path) -> None:
    def other_policy(body: dict[str, object]) -> None:
        body["crop_policy"] = {**body["crop_policy"], "version": 2}  # type: ignore[dict-item]

    good = (built / "manifest.json").read_bytes()
    _rewrite(built, other_policy)
    message = _found(built)
    assert "crop_policy.version" in message and "1" in message and "2" in message
    (built / "manifest.json").write_bytes(good)

    def unknown(body: dict[str, object]) -> None:
        body["encoder"] = {**body["encoder"], "mirror": True}  # type: ignore[dict-item]

    _rewrite(built, unknown)
    assert "encoder.mirror" in _found(built)


@pytest.mark.parametrize("name", ["../1.faiss", "/etc/passwd", "vectors/../../1.faiss", "vectors/1.FAISS"])
def test_a_manifest_cannot_name_files_outside_the_index(built: Path, name: str) -> None:
    def outside(body: dict[str, object]) -> None:
        files = dict(body["files"])  # type: ignore[call-overload]
        files[name] = files["vectors/0.faiss"]
        body["files"] = files

    _rewrite(built, outside)
    assert "manifest.json" in _found(built)


def test_a_ready_build_of_a_stranger_cannot_write_outside(built: Path, tmp_path: Path) -> None:
    from healtheat.core.atomic import sha256_file

    staging = built / ".staging"
    (staging / "vectors").mkdir(parents=True)
    shutil.copy(built / "manifest.json", staging / "manifest.json")
    body = json.loads((staging / "manifest.json").read_text(encoding="utf-8"))
    body["files"]["../../stolen.faiss"] = body["files"]["vectors/0.faiss"]
    (staging / "manifest.json").write_text(json.dumps(body), encoding="utf-8")
    (tmp_path / "stolen.faiss").write_bytes(b"mine")
    (staging / "READY").write_text(sha256_file(staging / "manifest.json"), encoding="ascii")
    _found(built)
    assert (tmp_path / "stolen.faiss").read_bytes() == b"mine"


def test_an_image_that_changed_since_the_build_is_not_handed_out(built: Path, data: Path) -> None:
    with Index.open(built) as index:
        file = index.image_file(0)
        assert index.image_bytes(0) == file.read_bytes()
        file.write_bytes(b"something else")
        with pytest.raises(InputError, match="changed since"):
            index.image_bytes(0)
        file.unlink()
        with pytest.raises(InputError, match="not found"):
            index.image_bytes(0)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("how", ["a link", "a pipe"])
@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("catalog.duckdb", "put the file itself here"),
        ("verdicts.jsonl", "put the file itself here"),
        ("vectors", "put the folder itself here"),
        (".lock", "remove it"),
    ],
)
def test_a_part_that_is_no_plain_file_is_called_a_part(
    built: Path, tmp_path: Path, name: str, fix: str, how: str
) -> None:
    if (built / name).exists():
        (built / name).rename(tmp_path / "kept")
    (built / name).symlink_to(tmp_path / "kept") if how == "a link" else os.mkfifo(built / name)
    found = _found(built) if name != ".lock" else " ".join(_told_by_verify(built))
    assert f"{built / name}: a part of the index, but {'a link' if how == 'a link' else 'no'}" in found
    assert found.endswith(fix) and "not part of the index" not in found


def _told_by_verify(index_path: Path) -> list[str]:
    try:
        with Index.open(index_path) as index:
            return index.verify()
    except (BadIndex, InputError) as error:
        return [str(error)]


def test_a_manifest_of_many_small_values_is_refused_unparsed(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("parsed"))
    for data in (b'{"a":[' + b"1," * 200_000 + b"1]}", b'{"a":[' + b"[],\n" * 200_000 + b"1]}"):
        (built / "manifest.json").write_bytes(data)
        assert "manifest.json: more values than a manifest has" in _found(built)


def test_a_manifest_of_very_many_files_is_read(built: Path) -> None:
    """Of images with names of one character, and of as many classes as there are files."""
    manifest = Manifest.read(built / "manifest.json")
    entry = manifest.files["catalog.duckdb"]
    many = {f"{number:x}": entry for number in range(60_000)}
    shards = dict.fromkeys(map(str, range(60_000)), 0)
    files = {f"vectors/{number}.faiss": entry for number in range(60_000)}
    larger = manifest.model_copy(
        update={
            "label_files": many,
            "batch_files": {"1": many},
            "shards": {**shards, "0": manifest.counts.boxes},
            "files": {**manifest.files, **files},
        }
    )
    assert Manifest.from_bytes(larger.to_bytes(), "manifest.json").label_files.keys() == many.keys()


def test_a_manifest_is_read_back_as_it_was_written(built: Path) -> None:
    data = (built / "manifest.json").read_bytes()
    assert Manifest.from_bytes(data, "manifest.json").to_bytes() == data


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("name", ["verdicts.jsonl", "verdicts.head.json", "verdicts.torn"])
def test_a_link_of_a_stranger_in_place_of_the_log_is_refused(built: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (built / name).unlink(missing_ok=True)
    (built / name).symlink_to(tmp_path / "mine")
    assert name in _found(built)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_in_place_of_a_temporary_file_is_not_followed(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    with Index.open(built) as index:
        index.judging.append(NewVerdict(box_id=3, issue="mislabel", verdict="ok", who="a"))
        (built / ".healtheat-0123456789abcdef.tmp").symlink_to(tmp_path / "mine")
        tokens = iter(["0123456789abcdef", "fedcba9876543210"])
        monkeypatch.setattr("secrets.token_hex", lambda n: next(tokens))
        monkeypatch.setattr("healtheat.core.atomic.sweep", lambda folder: None)  # planted after it ran
        index.judging.append(NewVerdict(box_id=4, issue="mislabel", verdict="ok", who="a"))
    assert list(tokens) == []
    assert (tmp_path / "mine").read_bytes() == b"mine"
