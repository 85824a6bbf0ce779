"""One cleanup in place: its folder in the data set, its plan, its journal, and how far it came.

`ROOT/.healtheat/applied/0001/` holds plan.json (written before anything is touched), journal.jsonl
(append-only, synced line by line), originals/ (the quarantine: every file as it was, byte for byte) and the
lists. Hidden folders are no part of a data set, so nobody trains on what lies there.

What has been done is read off the files themselves, by their hashes; the journal says what began and ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from healtheat.cleanup.journal import Journal
from healtheat.core.atomic import canonical_json, replacing_folder, sync_folder
from healtheat.core.conditions import told
from healtheat.core.errors import Argument, InputError
from healtheat.core.files import Unreadable, read_small
from healtheat.core.locks import held
from healtheat.core.paths import contained
from healtheat.index.target import QUARANTINE

HOME = Path(QUARANTINE) / "applied"
PLAN, JOURNAL, ORIGINALS, REPLACED = "plan.json", "journal.jsonl", "originals", "replaced"
MAX_PLAN_BYTES = 512 << 20
_RUN = re.compile(r"\d{4}|[1-9]\d{4,8}", re.ASCII)  # names of folders of runs
State = Literal["applying", "applied", "rolling back", "rolled back"]
_STATES: dict[str, State] = {"applied": "applied", "rollback": "rolling back", "rolled back": "rolled back"}
_Hash = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


class Step(BaseModel):
    """One file: its path relative to the root, what it loses, its hash before and after ("": no file)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: str
    kind: Literal["lines", "annotations", "file", "cache"]
    drop: list[Annotated[int, Field(ge=0)]]
    before: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    after: _Hash


class StoredPlan(BaseModel):
    """plan.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1]
    at: str
    steps: list[Step]
    label_folders: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """A cleanup in place, begun or done. `folder` holds what it needs to be finished or undone."""

    root: Path
    folder: Path
    plan: StoredPlan
    journal: Journal = field(compare=False)

    @property
    def state(self) -> State:
        """How far it came, by the journal. Raises InputError for one that was changed."""
        state: State = "applying"
        for entry in self.journal.entries():
            state = _STATES.get(entry.get("event", ""), state)
        return state

    def note(self, event: str, **more: Any) -> None:
        """Append one line to the journal; it is on the disk when this returns."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.journal.append({"at": at, "event": event, **more})

    @contextmanager
    def telling(self, fix: str) -> Iterator[None]:
        """What stops the work on this run also says how to go on or back: `fix`."""
        try:
            yield
        except OSError as error:
            raise InputError(f"{told(error)}; {self.folder}: was begun; {fix}") from None

    def file(self, step: Step) -> Path:
        """The file of a step. Raises InputError where a link leads out of the data set."""
        return inside(self.root, step.path)

    def original(self, step: Step) -> Path:
        """Where the quarantine keeps it; the whole path is kept, so equal names never collide."""
        return self.kept(ORIGINALS, step.path)

    def kept(self, folder: str, path: str) -> Path:
        """Where a file is kept in `folder` of this run."""
        return inside(self.root, (self.folder.relative_to(self.root) / folder / path).as_posix())


def inside(root: Path, path: str) -> Path:
    """`root / path`, where that is a place in the data set. Raises InputError for any other.

    A data set, its plan in `.healtheat` included, may come from a stranger: nothing outside its folder is
    ever written, by `..` or by a link.
    """
    try:
        file = root / contained(path)
    except ValueError as error:
        raise InputError(
            f"{path}: {error}; only files in the data set's folder can be changed in place"
        ) from None
    if file.is_symlink() or not file.parent.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"{path}: reached by a link; such a data set is cleaned as a copy, with ", Argument("to")
        )
    return file


def runs(root: Path) -> list[Run]:
    """Every cleanup in place of this data set, the oldest first. Raises InputError for a damaged one."""
    _check_home(root)
    folders = [folder for number, folder in _numbered(root) if _may_be_run(folder)]
    for path in [p for f in folders for p in (f, f / PLAN, f / JOURNAL)]:
        if path.is_symlink():
            raise InputError(f"{path}: is a link; remove it")
    return [_run(root, folder, _read(folder / PLAN)) for folder in folders]


def _check_home(root: Path) -> None:
    home = root / HOME
    for path in (home.parent, home):
        if path.is_symlink():
            raise InputError(f"{path}: is a link; remove it")
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is no folder, and healtheat keeps originals there; move it away")


def _numbered(root: Path) -> list[tuple[int, Path]]:
    """Number and path of whatever lies where runs do and has the name of one, by number."""
    home = root / HOME
    found = home.iterdir() if home.is_dir() else ()
    return sorted((int(path.name), path) for path in found if _RUN.fullmatch(path.name))


def _may_be_run(path: Path) -> bool:
    """Whether anything could be restored from it; a run appears with its plan inside, never empty."""
    return path.is_symlink() or (path.is_dir() and any(path.iterdir()))


def pending(root: Path) -> Run | None:
    """The cleanup that was begun, or whose rollback was begun, and never finished."""
    return next((run for run in runs(root) if run.state in ("applying", "rolling back")), None)


def create(
    root: Path, steps: list[Step], label_folders: list[str], write_lists: Callable[[Path], None]
) -> Run:
    """Write the folder of a new run; from here on it is pending. Nothing else is touched yet."""
    home = root / HOME
    home.mkdir(parents=True, exist_ok=True)
    plan = StoredPlan(
        version=1,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        steps=steps,
        label_folders=label_folders,
    )
    number = max((number for number, _ in _numbered(root)), default=0) + 1
    folder = home / f"{number:04d}"
    if not _RUN.fullmatch(folder.name):
        raise InputError(f"{home / str(number - 1)}: is no cleanup of healtheat's; move it away")
    with replacing_folder(folder) as staged:
        write_lists(staged)
        (staged / PLAN).write_bytes(canonical_json(plan.model_dump(mode="json"), indent=1) + b"\n")
    for path in (home.parent, root):
        sync_folder(path)
    return _run(root, folder, plan)


def _run(root: Path, folder: Path, plan: StoredPlan) -> Run:
    return Run(root, folder, plan, Journal(folder / JOURNAL))


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Hold the data set for a cleanup. Raises InputError if another process does."""
    _check_home(root)
    path = root / HOME.parent / "lock"
    if path.is_symlink():
        raise InputError(f"{path}: is a link; remove it")
    path.parent.mkdir(exist_ok=True)
    with held(path, InputError(f"{root}: another process is cleaning it up; wait until it is done")):
        yield


def _read(path: Path) -> StoredPlan:
    try:
        return StoredPlan.model_validate_json(read_small(path, MAX_PLAN_BYTES).data)
    except (Unreadable, ValidationError) as error:
        reason = str(error) if isinstance(error, Unreadable) else "not a plan of this version"
        raise InputError(
            f"{path}: {reason}, so this cleanup cannot be finished or undone; restore it from a copy. If "
            f"{path.parent} is no cleanup of yours, move it away. The originals of a cleanup lie in it"
        ) from None
