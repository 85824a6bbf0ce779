"""Fuzzing of every reader: spoiled bytes must be read or refused in a sentence, never crash, hang or grow.

    python -m benchmarks.fuzz [--minutes 60] [--seed 0] [--reader NAME ...] [--work FOLDER] [--out FILE.md]

Each call takes valid bytes of one reader (see fuzz_readers.py) and spoils them: bits and bytes changed, parts
cut out, doubled, moved or put in from another file, numbers and words exchanged for odd ones. A fault is an
exception that the reader does not promise, a call of more than 30 s, more than 4 GiB of address space on top,
or the end of the process. The readers run in a process of their own, which is started again when it ends. The
same seed makes the same changes, call by call; the bytes of a fault stay in FOLDER/faults. Ends with 1 if
there was one.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CALL_S = 30
GROWTH_BYTES = 4 << 30
ODD = (
    *(b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[2J", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\\ud800"),
    *(b"\n", b"\r", b'"', b"'", b"<", b">", b"&", b"{", b"}", b"[", b"]", b",", b":", b" "),
    *(b"null", b"true", b"NaN", b"Infinity", b"-1", b"0", b"1e999", b"-0.0", b"2147483648", b"9" * 400),
    *(
        b"9223372036854775808",
        b"../",
        b"/dev/zero",
        b"(a+)+$",
        b"(?P<code>",
        b"!!python/object:x",
        b"&a ",
        b"*a",
    ),
    b"<!ENTITY x SYSTEM '/dev/zero'>",
)


def spoiled(seeds: Sequence[bytes], choose: random.Random) -> bytes:
    """One of `seeds` after one to eight changes."""
    data = bytearray(choose.choice(seeds))
    for _ in range(choose.choice((1, 1, 1, 2, 3, 8))):
        at = choose.randrange(len(data) + 1)
        end = min(len(data), at + choose.choice((1, 2, 4, 8, 64, 1024)))
        part = bytes(data[at:end])
        match choose.randrange(9):
            case 0 if part:
                data[at] ^= 1 << choose.randrange(8)
            case 1:
                data[at:end] = choose.randbytes(end - at)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = part * choose.choice((1, 2, 50))
            case 4:
                data[at : at + len(part)] = choose.choice(ODD)
            case 5:
                data[at:at] = choose.choice(ODD) * choose.choice((1, 1, 2, 2000))
            case 6:
                other = choose.choice(seeds)
                start = choose.randrange(len(other) + 1)
                data[at:end] = other[start : start + choose.choice((4, 64, 1024))]
            case 7:
                del data[at:]
            case _:
                _exchange_number(data, choose)
    return bytes(data)


def _exchange_number(data: bytearray, choose: random.Random) -> None:
    """One run of digits becomes another number."""
    digits = [n for n, byte in enumerate(data[:65536]) if 48 <= byte <= 57]
    if digits:
        start = end = choose.choice(digits)
        while end < len(data) and 48 <= data[end] <= 57:
            end += 1
        data[start:end] = choose.choice((b"0", b"-1", b"1e308", b"9" * 20, b"65536", b"0.5", b"4294967295"))


class Slow(BaseException):
    """A call took longer than CALL_S."""


def work(folder: Path, seed: int, names: Sequence[str], until: float, first: int) -> None:
    """Calls from number `first` on, a line of JSON for each that is begun in `folder`/now, until `until`."""
    from benchmarks.fuzz_readers import readers

    known = [r for r in readers(folder / "home") if not names or r.name in names]
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + GROWTH_BYTES,) * 2)
    signal.signal(signal.SIGALRM, _too_slow)
    number = first
    while number == first or time.time() < until:
        reader = known[number % len(known)]
        data = spoiled(reader.seeds, random.Random(f"{seed} {reader.name} {number}"))
        place = folder / "call"
        shutil.rmtree(place, ignore_errors=True)
        file = place / reader.file
        file.parent.mkdir(parents=True)
        file.write_bytes(data)
        (folder / "now").write_text(json.dumps({"number": number, "reader": reader.name}), encoding="utf-8")
        (folder / "input").write_bytes(data)
        signal.alarm(CALL_S)
        try:
            reader.call(file)
            how, what = "read", ""
        except reader.refuses:
            how, what = "refused", ""
        except (Exception, Slow) as error:
            how, what = "fault", _where(error)
            _keep(folder, reader.name, number, data, traceback.format_exc())
        finally:
            signal.alarm(0)
        print(json.dumps({"reader": reader.name, "how": how, "what": what}), flush=True)
        number += 1


def _too_slow(*_: object) -> None:
    raise Slow(f"more than {CALL_S} s")


def _done(line: str, folder: Path) -> dict[str, str]:
    """What a call told; a line that no call wrote is a reader that printed something: a fault too."""
    try:
        done = json.loads(line)
    except ValueError:
        done = None
    if isinstance(done, dict) and {"reader", "how", "what"} <= done.keys():
        return done
    last = json.loads((folder / "now").read_text(encoding="utf-8"))
    what = f"printed {' '.join(line.split())[:60]!r}"
    _keep(folder, last["reader"], last["number"], (folder / "input").read_bytes(), what)
    return {"reader": last["reader"], "how": "fault", "what": what}


def _where(error: BaseException) -> str:
    own = [f for f in traceback.extract_tb(error.__traceback__) if "healtheat" in f.filename]
    last = f" in {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{last}: {' '.join(str(error).split())[:120]}"


def _keep(folder: Path, reader: str, number: int, data: bytes, text: str) -> None:
    kept = folder / "faults" / f"{reader.replace(' ', '_').replace('/', '_')}-{number}"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(data)
    kept.with_suffix(".txt").write_text(text, encoding="utf-8")


def fuzz(folder: Path, seed: int, names: Sequence[str], minutes: float) -> tuple[Counter[Any], Counter[Any]]:
    """(reader, how it ended) → calls, and (reader, fault) → calls."""
    calls: Counter[Any] = Counter()
    faults: Counter[Any] = Counter()
    until, first = time.time() + 60 * minutes, 0
    while not first or time.time() < until:
        shutil.rmtree(folder / "home", ignore_errors=True)
        (folder / "home").mkdir(parents=True)
        (folder / "now").unlink(missing_ok=True)
        told = [json.dumps(names), str(until), str(first)]
        command = [sys.executable, "-m", "benchmarks.fuzz", "--child", str(folder), str(seed), *told]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                done = _done(line, folder)
                calls[done["reader"], done["how"]] += 1
                if done["what"]:
                    faults[done["reader"], done["what"]] += 1
        if not (folder / "now").exists():
            raise SystemExit("the readers cannot be started")
        last = json.loads((folder / "now").read_text(encoding="utf-8"))
        if child.returncode:
            what = f"the process ended with {child.returncode}"
            calls[last["reader"], "fault"] += 1
            faults[last["reader"], what] += 1
            _keep(folder, last["reader"], last["number"], (folder / "input").read_bytes(), what)
        first = last["number"] + 1
    return calls, faults


def page(calls: Counter[Any], faults: Counter[Any], seed: int, minutes: float) -> str:
    """The report in Markdown."""
    named = sorted({reader for reader, _ in calls})
    total, bad = sum(calls.values()), sum(n for (_, how), n in calls.items() if how == "fault")
    lines = [
        "# Fuzzing of the readers",
        "",
        f"`python -m benchmarks.fuzz --minutes {minutes:g} --seed {seed}`: {total:,} calls, {bad:,} faults.",
        "",
        "| reader | calls | read | refused | faults |",
        "|---|---|---|---|---|",
    ]
    for reader in named:
        each = [calls[reader, how] for how in ("read", "refused", "fault")]
        lines.append(f"| {reader} | {sum(each):,} | {' | '.join(f'{n:,}' for n in each)} |")
    lines += ["", *(f"- {reader}: {what} ({n})" for (reader, what), n in faults.most_common())]
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--child"]:
        place, seed, names, until, first = given[1:]
        work(Path(place), int(seed), json.loads(names), float(until), int(first))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", default=[])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(given)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (asked.work or Path(temporary)).absolute()
        calls, faults = fuzz(folder, asked.seed, asked.reader, asked.minutes)
    text = page(calls, faults, asked.seed, asked.minutes)
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8", newline="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
