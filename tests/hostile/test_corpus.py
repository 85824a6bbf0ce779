"""Every command on every item of the hostile corpus: it ends in time, with 0 or 2, and says why in a line.

The suite runs each item with one command, another one for each item. HEALTHEAT_CORPUS=N takes N commands,
HEALTHEAT_CORPUS=all every one (about 5,000, some hours on two cores); HEALTHEAT_CORPUS_FROM turns the choice.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from healtheat.commands import COMMANDS as EXISTING
from healtheat.commands.reference import command_name
from tests.hostile.commands import COMMANDS, codes
from tests.hostile.indexes import INDEXES
from tests.hostile.run_all import Worker
from tests.hostile.sets import ENCODERS, LISTS, PLANS, PREDICTIONS, SETS
from tests.index.small_set import write_set

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ITEMS = {
    "index": INDEXES,
    "set": SETS,
    "encoder": ENCODERS,
    "predictions": PREDICTIONS,
    "list": LISTS,
    "plan": PLANS,
}


# What the user asked for: the whole disk is walked.
ASKED_FOR = {("set", "names the disk", "build outside"), ("set", "links", "build outside")}


def chosen() -> Iterator[tuple[str, str, str]]:
    """(kind, item, command) to run."""
    asked, start = os.environ.get("HEALTHEAT_CORPUS", "1"), int(os.environ.get("HEALTHEAT_CORPUS_FROM", "0"))
    for kind, items in ITEMS.items():
        commands = list(COMMANDS[kind])
        many = len(commands) if asked == "all" else min(int(asked), len(commands))
        for number, item in enumerate(items, start):
            for command in [commands[(number + more) % len(commands)] for more in range(many)]:
                if (kind, item, command) not in ASKED_FOR:
                    yield kind, item, command


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as started:
        yield started


@pytest.fixture(scope="module")
def base(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets `data` and `more`, and the index `index` of the first."""
    folder = tmp_path_factory.mktemp("corpus")
    data = write_set(folder / "data", images=6)
    write_set(folder / "more", images=3, seed=4)
    assert worker.run(folder, "build", data, "--index", "index", "--encoder", "fake").code == 0
    return folder


def places(kind: str, item: str, base: Path, job: Path) -> dict[str, str]:
    """What the words of a command stand for; makes the item."""
    found = {
        "data": base / "data/data.yaml",
        "more": base / "more/data.yaml",
        "images": base / "data/train/images",
        "image": next((base / "data").rglob("*.png")),
        "good": Path(shutil.copytree(base / "index", job / "good")),
    }
    if kind == "index":
        found["index"] = Path(shutil.copytree(base / "index", job / "index"))
        INDEXES[item](job / "index")
    else:
        (job / "made").mkdir()
        make: Callable[[Path], Path] = ITEMS[kind][item]  # type: ignore[assignment]
        found[kind] = make(job / "made")
    return {name: str(path) for name, path in found.items()}


# `make test-fast` takes every third.
CHOSEN = [
    pytest.param(*names, marks=[pytest.mark.slow] if number % 3 else [])
    for number, names in enumerate(chosen())
]


@pytest.mark.parametrize(("kind", "item", "command"), CHOSEN)
def test_a_command_ends_as_it_should(
    worker: Worker, base: Path, tmp_path: Path, kind: str, item: str, command: str
) -> None:
    words = COMMANDS[kind][command]
    known = places(kind, item, base, tmp_path)
    done = worker.run(tmp_path, *(word.format_map(known) for word in words.split()))
    assert not done.faults(codes(words))


def test_every_command_is_run() -> None:
    run = {words.split()[0] for words in (w for kind in COMMANDS.values() for w in kind.values())}
    assert run == {command_name(command) for command in EXISTING}


def test_the_limits_are_noticed(worker: Worker, tmp_path: Path) -> None:
    missing = worker.run(tmp_path, "query", "--index", tmp_path / "nowhere")
    assert missing.code == 2 and not missing.faults((2,))
    assert missing.faults((0,)) and worker.run(tmp_path, "no-such-command").code == 2
