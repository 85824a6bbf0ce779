"""benchmarks.fuzz: what it starts from is valid, what it makes of that is repeatable, faults are counted."""

import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.fuzz import main, page, spoiled
from benchmarks.fuzz_readers import Reader, readers

NEVER_READ = {"what vet learned"}  # the seed has the layout, but not all of the arrays


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> list[Reader]:
    return readers(tmp_path_factory.mktemp("fuzz"))


def test_every_reader_reads_what_it_starts_from(known: list[Reader], tmp_path: Path) -> None:
    assert len({reader.name for reader in known}) == len(known) > 20
    for number, reader in enumerate(known):
        for seed in reader.seeds[-1:]:
            file = tmp_path / str(number) / reader.file
            file.parent.mkdir(parents=True)
            file.write_bytes(seed)
            if reader.name not in NEVER_READ:
                reader.call(file)


def test_the_same_seed_makes_the_same_changes() -> None:
    seeds = (b"0 .5 .5 .1 .1\n" * 9, b"{}")
    made = [spoiled(seeds, random.Random(n)) for n in range(200)]
    assert made == [spoiled(seeds, random.Random(n)) for n in range(200)]
    assert len(set(made)) > 150 and not set(made) <= set(seeds)


def test_faults_are_counted() -> None:
    calls = Counter({("COCO", "read"): 2, ("COCO", "fault"): 1, ("image", "refused"): 3})
    text = page(calls, Counter({("COCO", "KeyError in file.py:1: x"): 1}), 7, 0.5)
    assert "--minutes 0.5 --seed 7`: 6 calls, 1 faults" in text
    assert "| COCO | 3 | 2 | 0 | 1 |" in text and "- COCO: KeyError in file.py:1: x (1)" in text


@pytest.mark.slow
def test_a_short_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fuzz.md"
    reader = ["--reader", "class map", "--reader", "image"]
    assert main(["--minutes", "0.05", *reader, "--work", str(tmp_path / "w"), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8").startswith("# Fuzzing of the readers")
