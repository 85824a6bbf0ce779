"""Every pair of commands at once: what docs/at_once.md says comes out, and nothing is lost.

One pair for each cell of its table here; `HEALTHEAT_PAIRS=all` tries every pair of commands.
"""

import itertools
import os
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from benchmarks.fault_jobs import States, quick, run, tree
from healtheat.cleanup import pending
from healtheat.index import Index
from healtheat.index.verdicts.log import VerdictLog
from tests.commands.at_once import KINDS, at_once, start_of, verdicts_after

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/at_once.md"
OUTCOMES = ("both", "one")
# What a command that was refused may say, by what stopped it.
TOLD = (
    "is being built by another process",
    "was built again since it was opened",
    "another process is cleaning it up",
    "changed since the build",
    "there is no cleanup to roll back",
    "is not empty; give a new folder",
    "No such file or directory",
    "was begun",
    "holds no data to",
)


def table() -> dict[frozenset[str], set[str]]:
    """Pair of kinds → what may come out, as the document says it."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = [line.strip()[1:-1].split("|") for line in lines if line.startswith("|")]
    head = [cell.strip() for cell in rows[0]][1:]
    found: dict[frozenset[str], set[str]] = {}
    for row in rows[2:]:
        kind, *cells = (cell.strip() for cell in row)
        for other, cell in zip(head, cells, strict=False):
            if cell:
                found[frozenset((kind, other))] = {word for word in OUTCOMES if word in cell.split()}
    return found


def kind_of(name: str) -> str:
    return next(kind for kind, names in KINDS.items() if name in names)


def pairs() -> list[tuple[str, str]]:
    if os.environ.get("HEALTHEAT_PAIRS") == "all":
        every = [name for names in KINDS.values() for name in names if name != "vet"]
    else:
        every = [names[0] for kind, names in KINDS.items() if kind != "vet"]
    return list(itertools.combinations_with_replacement(every, 2))


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[States]:
    with quick():
        yield States(tmp_path_factory.mktemp("at once"))


def check(processes: BaseContext, states: States, names: tuple[str, str]) -> None:
    done = at_once(processes, states, names)
    place = states.place
    for code, said in done:
        assert code in (0, 2), (names, said)
        assert code == 0 or any(text in said for text in TOLD), (names, said)
        assert "fault of healtheat" not in said
    codes = [code for code, _ in done]
    outcome = "both" if codes == [0, 0] else "one"
    allowed = table()[frozenset(map(kind_of, names))]
    assert outcome in allowed and 0 in codes, (names, done)
    with Index.open(place.index) as index:
        assert index.verify() == []
    assert sorted(v.verdict for v in VerdictLog(place.index).verdicts) == verdicts_after(names)
    before = states.kept(start_of(names)) / "data"
    if "in place" in map(kind_of, names):
        known = [tree(states.kept(name) / "data") for name in ("built", "applied")]
        if tree(place.data) not in known or pending(place.data) is not None:
            assert run(["rollback", place.data])[0] == 0
            assert tree(place.data) == known[0]
    else:
        assert tree(place.data) == tree(before)


@pytest.mark.parametrize("names", pairs(), ids=" and ".join)
def test_two_at_once(processes: BaseContext, states: States, names: tuple[str, str]) -> None:
    check(processes, states, names)


@pytest.mark.parametrize("other", [names[0] for names in KINDS.values()])
def test_vet_and_another(processes: BaseContext, tmp_path: Path, other: str) -> None:
    with quick():
        check(processes, States(tmp_path, 12), ("vet", other))


def test_the_table_says_every_pair() -> None:
    found = table()
    for one, other in itertools.combinations_with_replacement(KINDS, 2):
        assert found.get(frozenset((one, other))), f"{one} and {other}"
    text = DOCUMENT.read_text(encoding="utf-8")
    for names in KINDS.values():
        for name in names:
            assert name.split()[0] in text
