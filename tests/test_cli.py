"""The command line as a user meets it: every command walked, exit codes, streams, errors of one line."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import healtheat
import healtheat.cli
from healtheat.cli import run
from healtheat.commands import COMMANDS
from healtheat.commands._terminal import one_line
from healtheat.commands.reference import command_name, parameters
from healtheat.core.errors import HealtheatError
from tests.index.small_set import FakeEncoder, write_set

ROOT = Path(__file__).resolve().parents[1]
by_name = pytest.mark.parametrize("command", COMMANDS, ids=command_name)
Capture = pytest.CaptureFixture[str]


def healtheat_process(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@by_name
def test_help_teaches(command: Callable[..., None], capsys: Capture) -> None:
    assert run([command_name(command), "--help"]) == 0
    text = capsys.readouterr().out
    for parameter in parameters(command):
        assert parameter.help, f"{command_name(command)}: {parameter.names or parameter.value} says nothing"
        for name in parameter.names or (parameter.value,):
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), f"{name} is not in --help"
    assert "Examples:\n" in text
    assert "\x1b" not in text


@by_name
def test_examples_use_what_exists(command: Callable[..., None]) -> None:
    options = {command_name(c): {name for p in parameters(c) for name in p.names} for c in COMMANDS}
    examples = [
        line.strip() for line in (command.__doc__ or "").splitlines() if line.strip().startswith("healtheat ")
    ]
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[1] in options, example
        used = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert used <= options[words[1]], example


def test_every_command_file_is_registered() -> None:
    files = {
        path.stem for path in (ROOT / "healtheat/commands").glob("*.py") if not path.stem.startswith("_")
    }
    modules = {command.__module__.rpartition(".")[2] for command in COMMANDS}
    assert files - {"reference"} == modules


def test_help_lists_every_command(capsys: Capture) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert re.findall(r"^  (\w+)  ", text.partition("Commands:")[2], re.M) == [*map(command_name, COMMANDS)]


def test_without_arguments_it_shows_its_help(tmp_path: Path) -> None:
    process = healtheat_process(cwd=tmp_path)
    out, err = process.communicate()
    lines = out.decode("utf-8").splitlines()
    assert lines[0].startswith("Usage: healtheat [OPTIONS] COMMAND")
    assert len(lines) > len(COMMANDS) and b"\\n" not in out + err
    for command in COMMANDS:
        assert any(line.startswith(f"  {command_name(command)} ") for line in lines)
    assert (process.returncode, err) == (2, b"")


def test_help_needs_nothing_heavy() -> None:
    heavy = "numpy torch pyarrow duckdb faiss sklearn onnxruntime PIL fastapi ultralytics open_clip pydantic"
    code = (
        "import sys; from healtheat.cli import run; run(['--help'])\n"
        f"print([m for m in {heavy.split()!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--version"], 0, ""),
        (["query", "--nonsense"], 2, "No such option: --nonsense"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["build"], 2, "DATA"),
        (["build", "absent/data.yaml"], 2, "absent/data.yaml: not found"),
        (["query", "--index", "absent"], 2, "absent: no such folder; run `healtheat build"),
        (["query", "--limit", "-1"], 2, "--limit"),
        (["query", "--format", "xml"], 2, "xml"),
        (["query"], 2, "no index under index; run `healtheat build DATA` first"),
        (["verify"], 2, "no index under index"),
        (["export", "--to", "list"], 2, "add --format"),
    ],
)
def test_exit_codes(
    arguments: list[str],
    code: int,
    says: str,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == code
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == (code != 0)
    assert "Traceback" not in shown.err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (HealtheatError("data.yaml:3: wrong\nmend it"), 2, r"healtheat: data.yaml:3: wrong\nmend it"),
        (KeyboardInterrupt(), 130, "the same command continues where this one stopped"),
        (
            OSError(28, "No space left on device", "list.csv"),
            2,
            "healtheat: list.csv: No space left on device",
        ),
        (
            ZeroDivisionError("by\x1b[31m zero"),
            70,
            r"a fault of healtheat: ZeroDivisionError: by\x1b[31m zero",
        ),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_failures_are_one_line(
    error: BaseException,
    code: int,
    says: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(healtheat.cli, "app", fail)
    monkeypatch.setattr(healtheat.cli.os, "dup2", lambda *_: None)  # the test run still needs its stdout
    assert run([]) == code
    shown = capfd.readouterr().err
    assert says in shown
    assert shown.count("\n") == bool(says)


def test_query_csv_is_the_contract(in_built: Path, capsys: Capture) -> None:
    assert run(["query", "--all", "--format", "csv"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert list(rows[0])[:5] == ["image", "line", "class_id", "issue", "score"]
    boxes = {(row["image"], row["line"]): row["class_id"] for row in rows if row["class_id"]}
    boxes = {(image, line): class_id for (image, line), class_id in boxes.items() if int(line) >= 0}
    assert {row["issue"] for row in rows if not row["class_id"]} <= {"unreadable", "duplicate"}
    for (image, line), class_id in boxes.items():
        label = (in_built / "pills" / image.replace("images/", "labels/", 1)).with_suffix(".txt")
        text = label.read_bytes().splitlines()[int(line)].decode()
        assert text.split()[0] == class_id
    for row in rows:
        assert 0 <= float(row["score"]) <= 1
    keys = [(row["image"], row["line"], row["issue"]) for row in rows if int(row["line"]) >= 0]
    assert len(keys) == len(set(keys)), "one row for each box and issue"


def test_two_queues_at_once(in_built: Path, capsys: Capture) -> None:
    assert run(["query", "--all", "--issue", "bad_box", "--issue", "background", "--format", "csv"]) == 0
    assert {row["issue"] for row in rows_of(capsys.readouterr().out)} == {"bad_box", "background"}


def test_formats_agree(in_built: Path, capsys: Capture) -> None:
    assert run(["query", "--format", "csv"]) == 0
    as_csv = rows_of(capsys.readouterr().out)
    assert run(["query", "--format", "json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert run(["query", "--format", "jsonl"]) == 0
    as_lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert as_json == as_lines
    assert as_csv
    for row, other in zip(as_csv, as_json, strict=True):
        assert (row["image"], int(row["line"]), float(row["score"])) == (
            other["image"],
            other["line"],
            other["score"],
        )
        assert isinstance(other["evidence"], dict)


def test_table_counts_lines_from_one_and_says_what_is_missing(
    in_built: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # wide enough that no cell is broken over lines
    assert run(["query", "--all", "--issue", "bad_box", "--format", "csv"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert run(["query", "--all", "--issue", "bad_box", "--limit", "1"]) == 0
    shown = capsys.readouterr()
    where = f"{rows[0]['label_file']}:{int(rows[0]['line']) + 1}"
    assert where in shown.out
    assert rows[0]["class_name"] in shown.out
    assert f"1 of {len(rows)} shown" in shown.err


def test_gate(in_built: Path, capsys: Capture) -> None:
    assert run(["query", "--format", "csv"]) == 0
    flagged = len(rows_of(capsys.readouterr().out))
    assert flagged > 1
    assert run(["query", "--fail-over", str(flagged), "--limit", "0"]) == 0
    assert run(["query", "--fail-over", str(flagged - 1), "--limit", "0"]) == 1
    assert run(["query", "--all", "--fail-over", str(flagged), "--limit", "0"]) == 0, "only flags count"
    assert f"gate: flagged places: {flagged}, at most {flagged - 1} allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["query --fail-over 0", "export --to {}/a.csv", "export --to {}/b -f yolo", "apply"]
)
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("--split trian", "no split 'trian'; did you mean 'train'?"),
        ("--signal geometri", "no signal 'geometri'; did you mean 'geometry'?"),
        ("--issue mislable", "no issue 'mislable'; did you mean 'mislabel'?"),
        ("--class tylenl", "no class 'tylenl'"),
        ("--image */nothing-like-it/*", "no image matches"),
    ],
)
def test_a_value_that_the_index_does_not_have_is_an_error(
    command: str, typed: str, says: str, in_built: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert run([*command.format(tmp_path).split(), *typed.split()]) == 2
    shown = capsys.readouterr()
    assert says in shown.err and shown.err.count("\n") == 1 and not shown.out
    assert not [*tmp_path.iterdir()]


def test_a_cleanup_of_everything_is_refused(in_built: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(["export", "--to", str(tmp_path / "a"), "--format", "yolo", "--all"]) == 2
    assert "flagged samples only" in capsys.readouterr().err


def test_class_by_name(in_built: Path, capsys: Capture) -> None:
    assert run(["query", "--all", "--format", "csv"]) == 0
    row = next(row for row in rows_of(capsys.readouterr().out) if row["class_id"])
    for typed in (row["class_id"], row["class_name"]):
        assert run(["query", "--all", "--class", typed, "--format", "csv"]) == 0
        assert {r["class_id"] for r in rows_of(capsys.readouterr().out)} == {row["class_id"]}
    assert run(["query", "--class", "타이레놀아님"]) == 2
    assert "no class '타이레놀아님'" in capsys.readouterr().err


def test_problems(in_built: Path, capsys: Capture) -> None:
    assert run(["problems"]) == 0
    text = capsys.readouterr().out
    assert run(["problems", "--format", "csv"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert len(text.splitlines()) == len(rows) > 0
    for line, row in zip(text.splitlines(), rows, strict=True):
        where = row["file"] if row["line"] == "" else f"{row['file']}:{int(row['line']) + 1}"
        assert line == f"{where}: {row['reason']}"


def test_no_problem_is_said_beside_what_is_piped(in_built: Path, tmp_path: Path, capsys: Capture) -> None:
    data = write_set(tmp_path / "good")
    healtheat.build(data, index=tmp_path / "good.index", encoder=FakeEncoder())
    option = ["problems", "--index", str(tmp_path / "good.index")]
    assert run(option) == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err == "no problems: every line and file could be read\n"
    for format, empty in (("csv", "file,line,reason,image,code\n"), ("json", "[]\n"), ("jsonl", "")):
        assert run([*option, "--format", format]) == 0
        said = capsys.readouterr()
        assert (said.out.replace("\r\n", "\n"), said.err) == (empty, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("flag --fdr 2", "--fdr 2.0: give a share"),
        (
            "flag --fdr 0.1 --threshold outlier=1",
            "--fdr sets the thresholds itself; leave out --threshold or --fdr",
        ),
        ("flag --fdr x", "Invalid value for '--fdr': expected a number, found 'x' (see `healtheat flag"),
        ("flag --budget -1", "Invalid value for '--budget': expected at least 0, found '-1' (see"),
        ("query --format xml", "Invalid value for '--format' / '-f': 'xml' is not one of 'table', 'csv'"),
        ("demo --images -1", "--images -1: a demo set needs at least 12 to hold"),
        ("demo --images 0", "--images 0: a demo set needs at least 12 to hold"),
        ("query --min-score 2", "--min-score 2.0: scores lie in"),
        ("similar a.png --box 1,2", "--box: expected four numbers"),
        ("apply --to x --in-place", "--to writes a copy and --in-place changes the data set"),
        ("export --to a.csv --crops", "--crops is for --format atlas, not csv"),
        ("rollback --index absent", "absent: no such folder"),
    ],
)
def test_errors_name_the_option_as_it_was_typed(
    in_built: Path, capsys: Capture, line: str, message: str
) -> None:
    assert run(line.split()) == 2
    assert capsys.readouterr().err.startswith(f"healtheat: {message}")


def test_verify_finds_a_flipped_byte(in_built: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(["verify"]) == 0
    index = copy_of(in_built / "index/pills", tmp_path / "copy")
    shard = next((index / "vectors").glob("*.faiss"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    capsys.readouterr()
    assert run(["verify", "--index", str(index)]) == 1
    said = capsys.readouterr()
    assert shard.name in said.out
    assert said.err.startswith(f"healtheat: {index}: not as it was built (1 found)")
    assert run(["query", "--index", str(index)]) == 2
    assert shard.name in capsys.readouterr().err


def copy_of(index: Path, to: Path) -> Path:
    for file in index.rglob("*"):
        if file.is_file():
            (to / file.relative_to(index)).parent.mkdir(parents=True, exist_ok=True)
            (to / file.relative_to(index)).write_bytes(file.read_bytes())
    return to


def test_flag_and_score_change_flags_alone(in_built: Path, tmp_path: Path, capsys: Capture) -> None:
    index = str(copy_of(in_built / "index/pills", tmp_path / "copy"))

    def rows(*more: str) -> list[dict[str, str]]:
        capsys.readouterr()
        assert run(["query", "--index", index, "--format", "csv", "--sort", "box", *more]) == 0
        return rows_of(capsys.readouterr().out)

    def scores() -> list[tuple[str, ...]]:
        return [(r["image"], r["line"], r["class_id"], r["issue"], r["score"]) for r in rows("--all")]

    flags, before = rows(), scores()
    assert rows("--issue", "low_quality") == []
    assert run(["flag", "--index", index, "--threshold", "bad_box=0", "--threshold", "low_quality=0"]) == 0
    changed = rows()
    judged = [row for row in rows("--all") if row["issue"] == "bad_box"]
    assert len(rows("--issue", "bad_box")) == len(judged) > 0
    assert rows("--issue", "low_quality"), "a hint, where it is asked for"
    assert scores() == before
    assert run(["score", "--index", index]) == 0
    assert (scores(), rows()) == (before, changed), "scoring again keeps the way of flagging"
    capsys.readouterr()
    assert run(["flag", "--index", index, "--threshold", "low_quality=0.5"]) == 0
    assert "--threshold low_quality=0.5 flags nothing: the highest score of" in capsys.readouterr().err
    assert run(["flag", "--index", index]) == 0
    assert "flags nothing" not in capsys.readouterr().err
    assert rows() == flags
    assert run(["flag", "--index", index, "--budget", "3"]) == 0
    assert "3 places; by their scores" in capsys.readouterr().out
    assert len({row["place_id"] for row in rows()}) == len(rows()) == 3
    assert run(["flag", "--index", index, "--fdr", "0.05"]) == 0
    strict = rows()
    assert run(["flag", "--index", index, "--fdr", "0.5"]) == 0
    loose = [row["finding_id"] for row in rows()]
    assert {row["finding_id"] for row in strict} <= set(loose)
    assert scores() == before
    assert run(["verify", "--index", index]) == 0
    for wrong in ("bad_box=2", "bad_box", "nothing=0.5"):
        assert run(["flag", "--index", index, "--threshold", wrong]) == 2
    for rate in ("0", "1", "nan"):
        assert run(["flag", "--index", index, "--fdr", rate]) == 2


def test_build_again_embeds_nothing(in_built: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(["build", "pills/data.yaml", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["embedded"] == 0
    assert summary["reused"] >= summary["boxes"] > 0
    assert summary["index"] == "index/pills", "named after the data set"


def test_another_data_set_of_the_same_name(in_built: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "pills"
    for folder in ("images/train", "labels/train"):
        (other / folder).mkdir(parents=True)
    image = next((in_built / "pills/images/train").glob("*.jpg"))
    (other / "images/train/a.jpg").write_bytes(image.read_bytes())
    (other / "labels/train/a.txt").write_text("0 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    (other / "data.yaml").write_text("train: images/train\nnames: [a]\n", encoding="utf-8")
    assert run(["build", str(other / "data.yaml")]) == 2
    assert "is the index of" in capsys.readouterr().err


def test_strict_builds_nothing(in_built: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(["build", "pills/data.yaml", "--strict", "--index", str(tmp_path / "strict")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "strict/manifest.json").exists()


def test_the_last_built_index_is_read(
    in_built: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("old", "new")):
        folder = tmp_path / "index" / name
        folder.mkdir(parents=True)
        manifest = folder / "manifest.json"
        manifest.write_text("{}", encoding="utf-8")
        os.utime(manifest, (1000 + number, 1000 + number))
    monkeypatch.chdir(tmp_path)
    assert run(["query"]) == 2
    shown = capsys.readouterr().err
    assert "reading index/new, the last built of 2" in shown.replace("\\", "/")
    monkeypatch.setenv("HEALTHEAT_INDEX", str(in_built / "index/pills"))
    assert run(["query", "--limit", "0"]) == 0


def test_the_reader_of_a_pipe_may_leave(in_built: Path) -> None:
    process = healtheat_process("query", "--all", "--format", "csv", cwd=in_built)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(120) in (0, 141)  # 0 where the pipe held it all
    assert process.stderr.read() == b""


def test_korean_names_survive_an_ascii_terminal(in_built: Path) -> None:
    process = healtheat_process(
        "query", "--limit", "3", cwd=in_built, PYTHONIOENCODING="ascii", LC_ALL="C", NO_COLOR="1"
    )
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert re.search("[가-힣]", out.decode("utf-8"))
    assert b"\x1b" not in out


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    assert one_line("a\x1b[2Jb\r\nc\u202e\ud800가") == "a\\x1b[2Jb\\r\\nc\\u202e\\ud800가"
