"""Hostile index folders: each maker spoils a whole small index. Hashes are right where they can be."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from healtheat.index.shards import write_shard
from tests.hostile.forged import forge, sign

Maker = Callable[[Path], object]
SLOW = "^(a|aa)+$"
HUGE = "repeat('x', 200000000)"
DEEP = "[" * 20_000


def fifo(name: str) -> Maker:
    def make(index: Path) -> None:
        (index / name).unlink(missing_ok=True)
        (index / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(index / name)

    return make


def link(name: str, to: str = "/dev/zero") -> Maker:
    def make(index: Path) -> None:
        (index / name).unlink(missing_ok=True)
        (index / name).parent.mkdir(parents=True, exist_ok=True)
        (index / name).symlink_to(to)

    return make


def written(name: str, data: bytes) -> Maker:
    def make(index: Path) -> None:
        (index / name).parent.mkdir(parents=True, exist_ok=True)
        (index / name).write_bytes(data)

    return make


def sparse(name: str, size: int = 1 << 40) -> Maker:
    def make(index: Path) -> None:
        with (index / name).open("ab") as file:
            file.truncate(size)

    return make


def sparse_signed(name: str, size: int) -> Maker:
    """A file of holes whose size the manifest repeats."""

    def make(index: Path) -> None:
        sparse(name, size)(index)
        sign(index, lambda body: body["files"][name].update(size=size), hashed=False)

    return make


def sql(*statements: str) -> Maker:
    return lambda index: forge(index, *statements)


def manifest(change: Callable[[dict[str, Any]], object]) -> Maker:
    return lambda index: sign(index, change)


def settings(signal: str, value: str) -> Maker:
    text = value.replace("'", "''")
    return sql(f"UPDATE runs SET settings = '{text}' WHERE signal = '{signal}'")


def folder_at(name: str) -> Maker:
    def make(index: Path) -> None:
        (index / name).unlink(missing_ok=True)
        (index / name).mkdir()

    return make


def vectors(value: float) -> Maker:
    """The shards of all classes hold this number alone."""

    def make(index: Path) -> None:
        body = json.loads((index / "manifest.json").read_bytes())
        for class_id, rows in sorted(body["shards"].items(), key=lambda item: int(item[0])):
            from healtheat.index.shards import open_shard

            file = index / "vectors" / f"{class_id}.faiss"
            ids = open_shard(file, rows=rows, dim=body["dim"]).ids
            write_shard(file, ids, [np.full((rows, body["dim"]), value, np.float32)], body["dim"])
        sign(index)

    return make


def swapped(index: Path) -> None:
    """The shards of two classes change places; each has as many rows as the other."""
    files = sorted((index / "vectors").glob("[0-9]*.faiss"))
    by_size: dict[int, Path] = {}
    for file in files:
        other = by_size.setdefault(file.stat().st_size, file)
        if other != file:
            data = file.read_bytes()
            file.write_bytes(other.read_bytes())
            other.write_bytes(data)
            break
    sign(index)


def wal(index: Path) -> None:
    (index / "catalog.duckdb.wal").write_bytes(b"WAL\0" * 100)


def listed_model(index: Path) -> None:
    """What vet learned: garbage, with its right hash."""
    (index / "vetting.safetensors").write_bytes(b"\xff" * 5000)
    sign(index, lambda body: body["files"].update({"vetting.safetensors": _entry(index)}))


def _entry(index: Path) -> dict[str, Any]:
    from healtheat.core.atomic import sha256_file

    file = index / "vetting.safetensors"
    return {"sha256": sha256_file(file), "size": file.stat().st_size}


def images_are_pipes(index: Path) -> None:
    root = Path(json.loads((index / "manifest.json").read_bytes())["source"]["root"])
    copy = index.parent / "pipes"
    shutil.copytree(root, copy)
    for image in copy.rglob("*.png"):
        image.unlink()
        os.mkfifo(image)
    sign(index, lambda body: body["source"].update(root=copy.as_posix(), data=f"{copy.as_posix()}/data.yaml"))


def source(**values: str) -> Maker:
    return manifest(lambda body: body["source"].update(values))


def kept(**values: Any) -> Maker:
    return manifest(lambda body: body["settings"].update(values))


def encoder(**values: Any) -> Maker:
    return manifest(lambda body: body["encoder"].update(values))


_UPDATE = {
    "class name of 1 MB": "classes SET name = repeat('x', 1000000)",
    "class name NULL": "classes SET name = NULL WHERE class_id = 3",
    "class name of odd characters": "classes SET name = chr(27) || '[2J' || chr(10) || '=1+1' || chr(8232)",
    "class id beyond": "classes SET class_id = 9000000000000000000 WHERE class_id = 3",
    "class of boxes": "boxes SET class_id = 12 WHERE class_id = 3",
    "class of no name": "boxes SET class_id = 77777 WHERE class_id = 3",
    "box at NaN": "boxes SET cx = 'nan'",
    "box far away": "boxes SET cx = 1e300, w = 1e300",
    "box of no width": "boxes SET w = 0",
    "box of a lost image": "boxes SET image_id = 777",
    "box ids doubled": "boxes SET box_id = 1",
    "box lines": "boxes SET line = 9000000000000000000",
    "odd corners": "boxes SET corners = [1.0, 2.0, 3.0]",
    "corners of NaN": "boxes SET corners = ['nan'::DOUBLE, 0, 1, 0, 1, 1]",
    "corners of a million": "boxes SET corners = range(3000000)",
    "crop keys": "boxes SET crop_key = 'no key'",
    "measures": "boxes SET sharpness = 'inf', brightness = 'nan'",
    "image path up": "images SET path = '../../../etc/passwd', file = '../../../etc/passwd'",
    "image path NULL": "images SET path = NULL",
    "image path odd": "images SET path = chr(27) || ']0;x' || chr(7) || path",
    "image files of devices": "images SET file = '/dev/zero'",
    "image status": "images SET status = 'x'",
    "image size": "images SET width_px = 2000000000, height_px = 2000000000",
    "image hash": "images SET sha256 = 'no hash'",
    "finding of a lost box": "findings SET box_id = 12345",
    "finding kind": "findings SET kind = 'x'",
    "finding evidence deep": f"findings SET evidence = '{DEEP}'",
    "finding evidence none": "findings SET evidence = 'no JSON'",
    "finding evidence odd": """findings SET evidence = '{"a": [1, {"b": null}], "neighbours": 7}'""",
    "finding score": "findings SET score = 1e300, suspicion = -7",
    "finding places": "findings SET place_id = NULL",
    "finding places odd": "findings SET place_id = finding_id % 2",
    "finding suggestion": "findings SET suggestion = 5000000000",
    "finding suggestion unknown": "findings SET suggestion = 55555",
    "finding run": "findings SET run_id = -5",
    "finding reason of 100 KB": "findings SET reason = repeat('x', 100000)",
    "all flagged": "findings SET flagged = true, passed = true",
    "scores": "scores SET score = 'nan'",
    "score issue": "scores SET issue = 'x'",
    "score evidence": "scores SET evidence = 'no JSON'",
    "runs": "runs SET status = 'x'",
    "run ids": "runs SET run_id = 0",
    "silences": "silences SET why = ''",
    "objects": "objects SET object_id = -1",
    "background": "background SET cx = 'inf', crop_key = 'x'",
}
INDEXES: dict[str, Maker] = {
    **{name: sql(f"UPDATE {change}") for name, change in _UPDATE.items()},
    "write-ahead log": wal,
    "unlisted file": written("notes.txt", b"x"),
    "unlisted shard": written("vectors/99.faiss", b"x"),
    "generated column": sql(
        "DROP TABLE classes",
        f"CREATE TABLE classes(class_id BIGINT, name VARCHAR AS ({HUGE}), batch_id BIGINT)",
    ),
    "view": sql(f"DROP TABLE classes; CREATE VIEW classes AS SELECT 0::BIGINT class_id, {HUGE} AS name"),
    "macro": sql("CREATE MACRO coalesce(a, b) AS error('x')"),
    "no table": sql("DROP TABLE findings"),
    "no rows": sql("DELETE FROM boxes", "DELETE FROM findings", "DELETE FROM scores", "DELETE FROM images"),
    "no classes": sql("DELETE FROM classes"),
    "problem code": sql("INSERT INTO problems VALUES (0, 'x', 'f', 0, 'r', NULL, 0)"),
    "problem of line -7": sql("INSERT INTO problems VALUES (0, 'bad_line', 'f', -7, 'r', NULL, 0)"),
    "batch unknown": sql("INSERT INTO batches VALUES (1, '../x', '', 'yolo', 'lines', '/', '/', 1, 1, 0)"),
    "words": sql("INSERT INTO words VALUES ('pill', 'x', 0, 0, 1)"),
    "decisions": sql("INSERT INTO decisions VALUES (0, 'accept', 1, 1, 'x', 'y', 3)"),
    "decisions odd": sql("INSERT INTO decisions VALUES (999, 'x', 7, 7, NULL, NULL, NULL)"),
    "catalog truncated": written("catalog.duckdb", b"\0" * 8 + b"DUCK" + b"\xff" * 9000),
    "catalog truncated, signed": lambda index: (
        written("catalog.duckdb", b"\0" * 8 + b"DUCK" + b"\xff" * 9000)(index),
        sign(index),
    ),
    "catalog of holes": sparse_signed("catalog.duckdb", 1 << 35),
    "catalog beyond": sparse_signed("catalog.duckdb", 1 << 40),
    "shard of holes": sparse_signed("vectors/0.faiss", 1 << 38),
    "catalog a pipe": fifo("catalog.duckdb"),
    "catalog a link": link("catalog.duckdb"),
    "vectors a link": lambda index: (shutil.rmtree(index / "vectors"), link("vectors", "/proc")(index)),
    "manifest a pipe": fifo("manifest.json"),
    "manifest a device": link("manifest.json"),
    "manifest a folder": folder_at("manifest.json"),
    "manifest huge": sparse("manifest.json"),
    "manifest empty": written("manifest.json", b""),
    "manifest deep": written("manifest.json", DEEP.encode()),
    "manifest of many numbers": written("manifest.json", b'{"a":[' + b"1," * 50_000_000 + b"1]}"),
    "manifest a number": written("manifest.json", b"9" * 100_000),
    "manifest of another version": manifest(lambda body: body.update(format_version=10**400)),
    "dimension": manifest(lambda body: body.update(dim=65_536)),
    "counts": manifest(lambda body: body["counts"].update(images=10**15)),
    "shard rows": manifest(lambda body: body["shards"].update({"3": 10**15})),
    "label files up": manifest(lambda body: body["label_files"].update({"../../dev/zero": _ZERO})),
    "log a pipe": fifo("verdicts.jsonl"),
    "log a device": link("verdicts.jsonl"),
    "log huge": sparse("verdicts.jsonl"),
    "log of garbage": written("verdicts.jsonl", b"{}\n" * 1000),
    "log of one long line": written("verdicts.jsonl", b"x" * (4 << 20)),
    "log a folder": folder_at("verdicts.jsonl"),
    "head a pipe": fifo("verdicts.head.json"),
    "head a device": link("verdicts.head.json"),
    "head of garbage": written("verdicts.head.json", DEEP.encode()),
    "lock a pipe": fifo(".lock"),
    "verdict lock a link": link("verdicts.lock"),
    "chunk a pipe": fifo(".cache/000000.chunk"),
    "chunk a device": link(".cache/000000.chunk"),
    "chunk huge": lambda index: (
        written(".cache/000000.chunk", b"hhcache1")(index),
        sparse(".cache/000000.chunk")(index),
    ),
    "map a pipe": fifo(".cache/map-0.npy"),
    "cache a link": link(".cache", "/"),
    "staging ready": written(".staging/READY", b"0" * 64),
    "staging ready a pipe": fifo(".staging/READY"),
    "staging a link": link(".staging", "/"),
    "temporary folder": fifo(".healtheat-0123456789abcdef.tmp/ready"),
    "shard a pipe": fifo("vectors/3.faiss"),
    "shard missing": lambda index: (index / "vectors/3.faiss").unlink(),
    "shards exchanged": swapped,
    "vectors NaN": vectors(float("nan")),
    "vectors infinite": vectors(float("inf")),
    "vectors zero": vectors(0.0),
    "vectors huge": vectors(3e38),
    "what vet learned": listed_model,
    "root gone": source(root="/nowhere", data="/nowhere/data.yaml"),
    "root of 10,000 characters": source(root="/a" * 5000, data="/a" * 5000),
    "root /": source(root="/", data="/"),
    "data /proc": source(root="/proc", data="/proc"),
    "data a device": source(data="/dev/zero"),
    "data up": source(root="../..", data="../../data.yaml"),
    "kind unknown": source(kind="x", edits="annotations"),
    "kind coco": source(kind="coco", edits="annotations"),
    "images are pipes": images_are_pipes,
    "a rule": settings("contents", json.dumps({"rule": SLOW})),
    "a rule's file": settings("contents", json.dumps({"rule": "/dev/zero.csv", "classes": "/dev/zero"})),
    "settings deep": settings("contents", DEEP),
    "settings none": settings("contents", "no JSON"),
    "settings numbers": settings("contents", '{"rule": 7, "classes": [1]}'),
    "group rule": kept(group_rule=SLOW),
    "group rule odd": kept(group_rule=[7]),
    "thresholds": kept(findings={"thresholds": {"mislabel": "x"}}),
    "no thresholds": kept(findings=None),
    "task": kept(task=7),
    "task unknown": kept(task="x"),
    "tiles": kept(background_per_image=10**9),
    "no settings": manifest(lambda body: body["settings"].clear()),
    "encoder folder": encoder(name="onnx-dir:/dev"),
    "encoder hub": encoder(name="hf-hub:some/where"),
    "encoder network": encoder(name="local-dir:/proc/self/fd"),
    "crop policy": manifest(lambda body: body["crop_policy"].update(padding=1e300)),
}  # fmt: skip
_ZERO = {"sha256": "0" * 64, "size": 0}
