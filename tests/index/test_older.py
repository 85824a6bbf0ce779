"""Indexes of older format versions, made by the code that wrote them: refused with the command that builds
them again, which keeps every verdict.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import zipfile
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healtheat.building.build import build
from healtheat.cli import run
from healtheat.core.atomic import canonical_json
from healtheat.core.errors import BadIndex
from healtheat.findings.score import rescore
from healtheat.index import FORMAT_VERSION, Index, NewVerdict
from healtheat.index.manifest import Manifest, OtherVersion
from healtheat.index.older import build_command
from healtheat.index.tables import TABLES
from healtheat.signals.geometry import Geometry
from healtheat.sources.yolo.source import YoloSource
from tests.index.killed_build import run_killed
from tests.index.older_set import BROKEN, add_image, draw_set
from tests.index.small_set import FakeEncoder
from tests.kill_points import kill_points

PACKED = Path(__file__).resolve().parent / "data"
LOG, HEAD = "verdicts.jsonl", "verdicts.head.json"
DECISIONS = 20


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """data.yaml of the set that the index was built from, drawn again."""
    return draw_set(tmp_path / "알약 set")


@pytest.fixture(params=[1, 2])
def version(request: pytest.FixtureRequest) -> int:
    """The format version of the index."""
    return int(request.param)


@pytest.fixture
def old(tmp_path: Path, data: Path, version: int) -> Path:
    """The index of that version, as if it had been built from `data` where it lies now."""
    folder = tmp_path / "it's an index"
    unpack(folder, version)
    moved(folder, data)
    return folder


def unpack(folder: Path, version: int) -> None:
    """The index as it was made."""
    with zipfile.ZipFile(PACKED / f"version{version}.zip") as packed:
        packed.extractall(folder)


def moved(folder: Path, data: Path) -> None:
    """Say in the manifest that the data set lies at `data`."""
    body = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    body["source"] |= {"root": data.parent.as_posix(), "data": data.as_posix()}
    write_manifest(folder, body)


def write_manifest(folder: Path, body: dict[str, Any]) -> None:
    body = {key: value for key, value in body.items() if key != "checksum"}
    whole = {**body, "checksum": hashlib.sha256(canonical_json(body)).hexdigest()}
    (folder / "manifest.json").write_bytes(canonical_json(whole, indent=1) + b"\n")


def rebuild(data: Path, folder: Path, encoder: FakeEncoder | None = None) -> Any:
    encoder = encoder or FakeEncoder()
    return build(YoloSource(data), folder, encoder=encoder, signals=(Geometry(),), group_rule="none")


def decided(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log."""
    return [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]


def check_tied(folder: Path, renamed: dict[str, str] | None = None) -> None:
    """Every decision is in the table, tied to the very box (by image, line and class) it is about."""
    lines = decided(folder)
    with Index.open(folder) as index:
        rows = index.verdicts().to_pylist()
        wanted = [line for line in lines if line["undoes"] is None]
        assert [row["seq"] for row in rows] == [line["seq"] for line in wanted]
        undone = {line["undoes"] for line in lines}
        boxes = {
            row["box_id"]: (row["path"], row["line"], row["class_id"])
            for row in index.sql("SELECT * FROM boxes JOIN images USING (image_id)").to_pylist()
        }
        paths = dict(zip(index.images().image_id.tolist(), index.images().path.tolist(), strict=True))
        for row, line in zip(rows, wanted, strict=True):
            for name in (
                "at",
                "who",
                "issue",
                "verdict",
                "relabel_to",
                "box_key",
                "image",
                "line",
                "class_id",
            ):
                assert row[name] == line[name]
            assert row["undone"] == (line["seq"] in undone)
            image = (renamed or {}).get(line["image"], line["image"])
            if line["line"] < 0:
                assert row["box_id"] == -1 and paths[row["image_id"]] == image
            else:
                assert boxes[row["box_id"]] == (image, line["line"], line["class_id"])
        assert index.verify() == []


def test_what_the_index_holds(tmp_path: Path, version: int) -> None:
    """Twenty decisions of every kind on boxes and on images, one of them taken back."""
    unpack(tmp_path, version)
    lines = decided(tmp_path)
    made = [line for line in lines if line["undoes"] is None]
    assert len(made) == DECISIONS and len(lines) == DECISIONS + 1
    assert {line["verdict"] for line in made} == {"ok", "drop", "relabel", "unsure"}
    assert len([line for line in made if line["line"] < 0]) == 2
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["format_version"] == version


def test_opening_is_refused_with_the_command_that_builds_it_again(
    old: Path, data: Path, version: int
) -> None:
    for verify in (True, False):
        with pytest.raises(OtherVersion) as error:
            Index.open(old, verify=verify)
        message = str(error.value)
        assert "\n" not in message
        assert f"expected format version {FORMAT_VERSION}, found {version}" in message
        command = shlex.split(message[message.index("healtheat build") :])
        assert command == [
            "healtheat", "build", str(data), "--index", str(old), "--encoder", "fake", "--group-by", "none",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        ["query", "--index"],
        ["query", "--all", "--index"],
        ["problems", "--index"],
        ["verify", "--index"],
        ["score", "--index"],
        ["flag", "--index"],
        ["apply", "--index"],
        ["report"],
        ["trust", "--index"],
        ["review", "--index"],
    ],
    ids=" ".join,
)
def test_every_command_refuses_it_in_one_line(
    old: Path, version: int, command: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.read_bytes() for file in old.rglob("*") if file.is_file()}
    code = run([*command, str(old)])
    out, err = capfd.readouterr()
    assert code != 0
    assert (out + err).count(
        f"found {version}; build it again, which keeps its verdicts: healtheat build"
    ) == 1
    assert len((out + err).strip().splitlines()) <= 2
    left = {file: file.read_bytes() for file in old.rglob("*") if file.is_file() and file.name != ".lock"}
    assert left == before


def test_the_very_command_keeps_all_verdicts(
    old: Path, data: Path, version: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log, head = (old / LOG).read_bytes(), (old / HEAD).read_bytes()
    with pytest.raises(OtherVersion) as error:
        Index.open(old)
    message = str(error.value)
    monkeypatch.setattr("healtheat.building.auto.load_encoder", lambda name, **more: FakeEncoder())
    assert run(shlex.split(message[message.index("healtheat build") :])[1:]) == 0
    said = f"was in format version {version} and is in version {FORMAT_VERSION} now; its verdicts were kept"
    assert said in capfd.readouterr().err
    assert ((old / LOG).read_bytes(), (old / HEAD).read_bytes()) == (log, head)
    check_tied(old)
    check_tied(old)  # and again at the second opening
    with Index.open(old) as index:
        assert index.manifest.format_version == FORMAT_VERSION
        last = index.judging.append(NewVerdict(issue="mislabel", verdict="ok", who="c", box_id=3))
        assert last.seq == DECISIONS + 2
    check_tied(old)
    assert rebuild(data, old).note == ""


def test_boxes_are_found_again_under_other_numbers_and_names(old: Path, data: Path) -> None:
    add_image(data.parent, "a, which comes first")
    for part, suffix in (("images", "bmp"), ("labels", "txt")):
        file = data.parent / "train" / part / f"사진 5.{suffix}"
        file.rename(file.with_stem("zz"))
    rebuild(data, old)
    check_tied(old, {"train/images/사진 5.bmp": "train/images/zz.bmp"})


def test_vectors_are_taken_over_if_the_same_encoder_made_them(old: Path, data: Path) -> None:
    encoder = FakeEncoder()
    report = rebuild(data, old, encoder)
    assert (report.embedded, encoder.crops_seen) == (
        0,
        0,
    ) and report.reused == report.boxes + report.background
    with Index.open(old) as index:
        ours = index.vectors(index.boxes().box_id)
        background = index.background()
    rebuild(data, old.with_name("fresh"))
    with Index.open(old.with_name("fresh")) as index:
        assert abs(index.vectors(index.boxes().box_id) - ours).max() < 1e-5
        assert abs(index.background() - background).max() < 1e-5


def test_another_encoder_embeds_all_and_keeps_the_verdicts(old: Path, data: Path) -> None:
    report = rebuild(data, old, FakeEncoder(dim=8))
    assert report.reused == 0 and report.embedded == report.boxes + report.background
    check_tied(old)


@pytest.mark.parametrize("broken", ["catalog.duckdb", "vectors/3.faiss", "manifest.json"])
def test_a_damaged_one_gives_no_vectors_but_keeps_its_verdicts(old: Path, data: Path, broken: str) -> None:
    content = bytearray((old / broken).read_bytes())
    content[-20] ^= 1
    (old / broken).write_bytes(content)
    report = rebuild(data, old)
    assert report.embedded == report.boxes + report.background
    assert broken in report.note and "\n" not in report.note
    check_tied(old)


def test_a_catalog_that_does_not_hold_its_tables_gives_no_vectors(old: Path, data: Path) -> None:
    import duckdb

    connection = duckdb.connect(str(old / "catalog.duckdb"))
    connection.execute("ALTER TABLE boxes DROP COLUMN sharpness")
    connection.close()
    body = json.loads((old / "manifest.json").read_text(encoding="utf-8"))
    content = (old / "catalog.duckdb").read_bytes()
    body["files"]["catalog.duckdb"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    write_manifest(old, body)
    report = rebuild(data, old)
    assert report.embedded == report.boxes + report.background
    assert "its verdicts were kept" in report.note and "table boxes" in report.note
    check_tied(old)


def test_no_verdict_is_lost_wherever_the_build_is_killed(
    processes: BaseContext, old: Path, data: Path, version: int, tmp_path: Path
) -> None:
    log = (old / LOG).read_bytes()
    counted = tmp_path / "steps.txt"

    def killed(at: int) -> Path:
        folder = tmp_path / f"killed at {at}"
        shutil.copytree(old, folder)
        process = processes.Process(target=run_killed, args=(str(data), str(folder), at, str(counted)))
        process.start()
        process.join(120)
        assert (process.exitcode == 0) == (at < 0)
        return folder

    check_tied(killed(-1))
    steps = int(counted.read_text(encoding="utf-8"))
    versions = set()
    for at in kill_points(steps):
        folder = killed(at)
        assert (folder / LOG).read_bytes() == log
        try:
            Index.open(folder).close()  # finishes a move that was begun
            versions.add(FORMAT_VERSION)
        except OtherVersion as error:
            assert f"found {version}; build it again" in str(error)
            versions.add(version)
        rebuild(data, folder)
        assert (folder / LOG).read_bytes() == log
        check_tied(folder)
    assert versions == {version, FORMAT_VERSION}


@pytest.mark.parametrize("moved_already", [(), ("catalog.duckdb", "vectors/0.faiss")], ids=["none", "some"])
def test_a_build_that_was_never_moved_into_place(
    old: Path, data: Path, version: int, moved_already: tuple[str, ...]
) -> None:
    staging = old / ".staging"
    (staging / "vectors").mkdir(parents=True)
    names = ["manifest.json", *json.loads((old / "manifest.json").read_text(encoding="utf-8"))["files"]]
    for name in names:
        if name not in moved_already:
            shutil.copy(old / name, staging / name)
    (staging / "READY").write_text(hashlib.sha256((old / "manifest.json").read_bytes()).hexdigest(), "ascii")
    (old / "verdicts.head.json.tmp").write_bytes(b"half")  # as version 1 left it
    again = old.with_name("built at once")
    shutil.copytree(old, again)
    with pytest.raises(OtherVersion, match=f"found {version}; build it again"):
        Index.open(old)
    assert not staging.exists()
    for folder in (old, again):
        assert rebuild(data, folder).embedded == 0
        assert not (folder / "verdicts.head.json.tmp").exists()
        check_tied(folder)


def test_a_version_that_is_not_known_is_neither_read_nor_built_over(old: Path, data: Path) -> None:
    body = json.loads((old / "manifest.json").read_text(encoding="utf-8"))
    for version in (FORMAT_VERSION + 1, 0, True, "1", None, [1] * 1000, "\n\x1b[2J"):
        write_manifest(old, {**body, "format_version": version})
        for attempt in (lambda: Index.open(old), lambda: rebuild(data, old)):
            with pytest.raises(
                OtherVersion, match=f"expected format version {FORMAT_VERSION}, found"
            ) as error:
                attempt()
            assert "which keeps its verdicts" not in str(error.value)
            assert str(error.value).isprintable() and len(str(error.value)) < 400


def test_of_a_version_1_manifest_a_stranger_changed_the_command_is_harmless(old: Path) -> None:
    body = json.loads((old / "manifest.json").read_text(encoding="utf-8"))
    nasty = [
        "a\nb",
        "\x1b[2J",
        "--index",
        "",
        7,
        None,
        ["x"],
        {"a": 1},
        "x" * 5000,
        "\u202egnp.exe",
        "\ud800",
    ]
    for value in nasty:
        hostile = {**body, "source": {**body["source"], "data": value}, "encoder": {"name": value}}
        command = build_command({**hostile, "settings": {"group_rule": value}}, old)
        assert shlex.split(command) == ["healtheat", "build", "DATA", "--index", str(old)]
    for key in ("source", "encoder", "settings", "label_files"):
        for value in (None, [], "text", 3):
            assert build_command({**body, key: value}, old).startswith("healtheat build ")
    for value in ("$(touch x)", "a'; rm -rf b; '", "`x`", "a b", '"', "a|b&c"):
        command = build_command({**body, "source": {"data": value}, "encoder": {}, "settings": {}}, old)
        assert shlex.split(command) == ["healtheat", "build", value, "--index", str(old)]


@given(st.text(max_size=30))
def test_any_data_set_is_one_argument_of_one_line(data: str) -> None:
    command = build_command({"source": {"data": data}}, Path("index"))
    assert command.isprintable()
    words = shlex.split(command)
    assert len(words) == 5 and words[2] in (data, "DATA")


def test_boxes_of_a_detector_are_built_again_with_its_weights() -> None:
    source = {"kind": "detector", "root": "/data/photos", "data": "/data/photos"}
    body = {"source": source, "label_files": {"../best model.pt": {}}, "encoder": {"name": "pill"}}
    assert shlex.split(build_command(body, Path("index/a")))[2:] == [
        "/data/photos", "--index", "index/a", "--weights", "/data/photos/../best model.pt",
        "--encoder", "pill",
    ]  # fmt: skip  # the encoder is named although it was the default then: auto may choose another one


def test_an_older_manifest_is_read_only_if_it_is_whole(old: Path, version: int) -> None:
    manifest = Manifest.read(old / "manifest.json", older=True)
    assert (manifest.format_version, manifest.source.edits) == (version, "lines")
    body = json.loads((old / "manifest.json").read_text(encoding="utf-8"))
    for source in (None, [], {**body["source"], "kind": 3}, {**body["source"], "more": 1}):
        write_manifest(old, {**body, "source": source})
        with pytest.raises(BadIndex):
            Manifest.read(old / "manifest.json", older=True)
    write_manifest(old, {**body, "files": {"../outside": {"sha256": "0" * 64, "size": 1}}})
    with pytest.raises(BadIndex, match="only files of an index"):
        Manifest.read(old / "manifest.json", older=True)


def test_the_image_that_could_not_be_read_keeps_its_verdict(old: Path, data: Path) -> None:
    rebuild(data, old)
    with Index.open(old) as index:
        rows = index.sql(
            "SELECT path, verdict FROM current_verdicts JOIN images USING (image_id) WHERE box_id = -1 "
            "AND issue = 'unreadable'"
        ).to_pylist()
    assert rows == [{"path": BROKEN, "verdict": "drop"}]


@pytest.fixture
def readable(tmp_path: Path, data: Path) -> Path:
    """The index of version 3, which is read as it is."""
    folder = tmp_path / "three"
    unpack(folder, 3)
    moved(folder, data)
    return folder


def test_version_3_is_read_as_one_without_batches(readable: Path) -> None:
    check_tied(readable)
    with Index.open(readable) as index:
        assert index.manifest.format_version == 3
        assert len(index.sql("SELECT * FROM batches")) == 0
        for table in ("images", "classes", "problems"):
            rows = index.sql(f"SELECT * FROM {table}")
            assert rows.column_names == list(TABLES[table]) and set(rows["batch_id"].to_pylist()) == {0}
        assert index.sql("SELECT * FROM boxes").column_names == list(TABLES["boxes"])
        assert set(index.boxes().corners.tolist()) == {None}


def test_version_3_is_scored_into_one_of_today_and_built_over(readable: Path, data: Path) -> None:
    with Index.open(readable) as index:
        before = index.sql("SELECT * FROM images ORDER BY 1").to_pylist()
    rescore(readable, signals=(Geometry(),))
    with Index.open(readable) as index:
        assert index.manifest.format_version == FORMAT_VERSION
        assert index.sql("SELECT * FROM images ORDER BY 1").to_pylist() == before
    check_tied(readable)
    unpack(readable, 3)
    moved(readable, data)
    report = rebuild(data, readable)
    assert (report.embedded, "was in format version 3" in report.note) == (0, True)
    check_tied(readable)


def test_version_3_with_a_column_of_today_is_refused(readable: Path) -> None:
    import duckdb

    connection = duckdb.connect(str(readable / "catalog.duckdb"))
    connection.execute("ALTER TABLE images ADD COLUMN batch_id BIGINT")
    connection.close()
    with pytest.raises(BadIndex, match="table images: expected"):
        Index.open(readable, verify=False)
