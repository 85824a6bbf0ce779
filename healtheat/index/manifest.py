"""manifest.json: what an index was built from and with, and the hash of every file it consists of.

The file is canonical JSON that carries its own checksum, so that any changed byte in it is found.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from healtheat.core.atomic import canonical_json
from healtheat.core.errors import BadIndex
from healtheat.core.files import Missing, Unreadable, read_small
from healtheat.core.text import shown
from healtheat.core.validation import what_is_wrong
from healtheat.crops import CropPolicy
from healtheat.embedding import EncoderSpec
from healtheat.index import older as older_versions
from healtheat.index.choice import EncoderChoice
from healtheat.sources.base import Edits

FORMAT_VERSION = 4
READ_VERSIONS = (3, FORMAT_VERSION)  # those that are read as they are; what is written is always the last
MANIFEST_NAME = "manifest.json"
CATALOG_NAME = "catalog.duckdb"
MODEL_NAME = "vetting.safetensors"  # what `vet` learned of the boxes; made at the first vet
VECTORS_FOLDER = "vectors"
BACKGROUND = "background"

MAX_MANIFEST_BYTES = 256 << 20  # about two million label files
# A file and its hash take 64 characters and more, so values (which commas part) are few for the size.
_BYTES_A_VALUE, _SPARE_VALUES = 16, 100_000
_FILE_NAME = re.compile(r"catalog\.duckdb|vetting\.safetensors|vectors/(?:0|[1-9]\d{0,18}|background)\.faiss")
_BATCH = re.compile(r"[1-9]\d{0,8}")
_START_AGAIN = "build the index again into a new folder, or use the version it was built with"


class OtherVersion(BadIndex):
    """An index in another format version: not damaged, but not ours to read."""


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileEntry(_Part):
    """One file: its SHA-256 and its size in bytes."""

    sha256: Sha256
    size: Count


class SourceEntry(_Part):
    """Where the boxes came from. `root` and `data` are absolute POSIX paths; `edits` as in `Source`."""

    kind: str
    edits: Edits
    root: str
    data: str


class Counts(_Part):
    """Rows of the catalog."""

    images: Count
    boxes: Count
    classes: Count
    problems: Count
    background: Count
    findings: Count
    flagged: Count


class Manifest(_Part):
    """Everything that decides what an index holds. `shards` maps class id to its number of boxes."""

    format_version: int
    created_at: str
    healtheat_version: str
    libraries: dict[str, str]
    source: SourceEntry
    encoder: dict[str, JsonValue]
    crop_policy: dict[str, JsonValue]
    fingerprint: str
    encoder_choice: EncoderChoice | None = None  # where the data chose it
    settings: dict[str, JsonValue]
    dim: Annotated[int, Field(ge=1, le=1 << 16)]
    counts: Counts
    shards: dict[str, Count]
    label_files: dict[str, FileEntry]  # of what `build` read
    batch_files: dict[str, dict[str, FileEntry]] = Field(default_factory=dict)  # batch id → the same
    files: dict[str, FileEntry]

    @property
    def boxes_files(self) -> dict[str, FileEntry]:
        """The files of the boxes: all but what `vet` learned of them."""
        return {name: entry for name, entry in self.files.items() if name != MODEL_NAME}

    def class_rows(self) -> dict[int, int]:
        """Class id → number of boxes, by class id."""
        return {int(key): rows for key, rows in sorted(self.shards.items(), key=lambda item: int(item[0]))}

    def every_label_file(self) -> dict[str, FileEntry]:
        """`label_files` and those of all batches, by path; of one path the last that was read."""
        found = dict(self.label_files)
        for batch in sorted(self.batch_files, key=int):
            found.update(self.batch_files[batch])
        return found

    def to_bytes(self) -> bytes:
        """The file's content: canonical JSON with a checksum over the rest."""
        body = self.model_dump(mode="json")
        return _layout({**body, "checksum": _checksum(body)})

    @classmethod
    def from_bytes(cls, data: bytes, name: str, *, older: bool = False) -> Self:
        """Read and check. Raises BadIndex that names the file, what was expected and what was found.

        Raises OtherVersion for another format version; with `older` those of `older.VERSIONS` are read too.
        """
        if data.count(b",") > _SPARE_VALUES + len(data) // _BYTES_A_VALUE:  # would take many times its size
            raise BadIndex(f"{name}: more values than a manifest has; build the index again")
        try:
            body = json.loads(data.decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise BadIndex(
                f"{name}: expected UTF-8 JSON, found {str(error)[:80]}; build the index again"
            ) from None
        if not isinstance(body, dict):
            raise BadIndex(f"{name}: expected a JSON object, found {type(body).__name__}")
        version = body.get("format_version")
        is_older = version in older_versions.VERSIONS and not isinstance(version, bool)
        if (version not in READ_VERSIONS or isinstance(version, bool)) and not (is_older and older):
            found = f"{name}: expected format version {FORMAT_VERSION}, found {shown(repr(version))}; "
            if not is_older:
                raise OtherVersion(found + _START_AGAIN)
            command = older_versions.build_command(body, Path(name).parent)
            raise OtherVersion(f"{found}build it again, which keeps its verdicts: {command}")
        found = body.pop("checksum", None)
        try:
            expected = _checksum(body)
            if found != expected or _layout({**body, "checksum": expected}) != data:
                raise BadIndex(
                    f"{name}: expected checksum {expected[:16]}…, found {str(found)[:16]}…; the file was "
                    "changed after the build; build the index again"
                )
            manifest = cls.model_validate(older_versions.upgraded(body) if is_older else body)
        except ValidationError as error:
            where, what = what_is_wrong(error)
            raise BadIndex(f"{name}: {where}: {what}; {_START_AGAIN}") from None
        except (ValueError, RecursionError, UnicodeEncodeError) as error:
            raise BadIndex(f"{name}: {str(error)[:80]}; build the index again") from None
        manifest._check_names(name)
        for what, model in (("encoder", EncoderSpec), ("crop_policy", CropPolicy)):
            _check_known(name, what, model, getattr(manifest, what))
        return manifest

    @classmethod
    def read(cls, path: Path, *, older: bool = False) -> Self:
        """Read `path`. Raises BadIndex where it is missing, too large or damaged; for `older` see above."""
        try:
            data = read_small(path, MAX_MANIFEST_BYTES, within=path.parent).data
        except Missing:
            raise BadIndex(f"{path}: not found; build the index first") from None
        except Unreadable as error:
            raise BadIndex(f"{path}: {error}; build the index again") from None
        return cls.from_bytes(data, str(path), older=older)

    def _check_names(self, name: str) -> None:
        # A stranger's manifest must not make us read or write outside the folder.
        for file in self.files:
            if not _FILE_NAME.fullmatch(file):
                raise BadIndex(f"{name}: expected only files of an index, found {file[:80]!r}")
        expected = {CATALOG_NAME, shard_name(BACKGROUND)}
        try:
            expected |= {shard_name(class_id) for class_id in self.class_rows()}
        except ValueError:
            raise BadIndex(
                f"{name}: expected class ids in `shards`, found {sorted(self.shards)[:3]}"
            ) from None
        if odd_keys := [key for key in self.batch_files if not _BATCH.fullmatch(key)]:
            raise BadIndex(f"{name}: expected numbers in `batch_files`, found {odd_keys[0][:80]!r}")
        found = set(self.files) - {MODEL_NAME}
        if expected != found:
            odd = sorted(expected ^ found)[0]
            raise BadIndex(f"{name}: `files` and `shards` disagree about {odd}")
        if sum(self.shards.values()) != self.counts.boxes:
            raise BadIndex(
                f"{name}: expected {self.counts.boxes} boxes in `shards`, found {sum(self.shards.values())}"
            )


def _check_known(name: str, what: str, model: type[BaseModel], found: dict[str, JsonValue]) -> None:
    """A setting this version does not know, or means otherwise by, must not be passed over."""
    try:
        understood = model.model_validate(found).model_dump(mode="json")
    except ValidationError as error:
        where, wrong = what_is_wrong(error)
        raise BadIndex(f"{name}: {what}.{where}: {wrong}; {_START_AGAIN}") from None
    for key in understood.keys() | found.keys():
        if understood.get(key) != found.get(key):
            both = f"expected {understood.get(key)!r}, found {found.get(key)!r}"
            raise BadIndex(f"{name}: {what}.{key}: {both}; {_START_AGAIN}")


def build_id(index_path: Path) -> str:
    """32 hex digits that name this very build of an index. Raises BadIndex."""
    try:
        return read_small(index_path / MANIFEST_NAME, MAX_MANIFEST_BYTES).sha256[:32]
    except Unreadable as error:
        raise BadIndex(f"{index_path / MANIFEST_NAME}: {error}; build the index again") from None


def shard_name(class_id: int | str) -> str:
    """The shard's file name, relative to the index."""
    return f"{VECTORS_FOLDER}/{class_id}.faiss"


def _layout(body: dict[str, Any]) -> bytes:
    return canonical_json(body, indent=1) + b"\n"


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(body)).hexdigest()
