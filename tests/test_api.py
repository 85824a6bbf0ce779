"""The public functions and the commands are one to one, and what the functions return is what they say."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import healtheat
from healtheat import api
from healtheat.commands import COMMANDS
from healtheat.commands.reference import command_name
from healtheat.core.errors import EncoderError, InputError
from tests.index.small_set import FakeEncoder, write_set

ROOT = Path(__file__).resolve().parents[1]
OTHER_NAMES = {"Filters", "HealtheatError", "Index"}  # public beside the functions
# Options that only say what goes to the terminal, or with which code the command ends.
TERMINAL_ONLY = {
    "add": {"json_"},
    "batches": {"format"},
    "build": {"json_"},
    "contents": {"format", "limit", "fail_over"},
    "diff": {"format", "list_", "fail_on"},
    "encoders": {"json_"},
    "guard": {"format"},
    "problems": {"format"},
    "query": {"format", "fail_over"},
    "remove": {"json_"},
    "selftest": {"format"},
    "similar": {"format"},
    "trust": {"format"},
}
# Parameters that a command line has no use for.
LIBRARY_ONLY = {"progress", "filters", "ready"}
# What the command line has twice: `healtheat report INDEX` is `healtheat report --index INDEX`.
SAME = {"report": {"folder"}}
FUNCTIONS = {
    name: function
    for name, function in vars(api).items()
    if inspect.isfunction(function) and function.__module__ == api.__name__ and not name.startswith("_")
}
by_name = pytest.mark.parametrize("command", COMMANDS, ids=command_name)


def parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Name → default of each parameter; paths as text."""

    def plain(value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    return {name: plain(p.default) for name, p in inspect.signature(function).parameters.items()}


def test_commands_and_functions_are_the_same_words() -> None:
    assert sorted(FUNCTIONS) == sorted(command_name(command) for command in COMMANDS)


def test_dir_shows_the_api_and_nothing_else() -> None:
    for module in pkgutil.walk_packages([str(ROOT / "healtheat")], "healtheat."):
        if module.name.count(".") == 1 and module.name != "healtheat.__main__":
            importlib.import_module(module.name)  # which sets it on the package
    assert set(dir(healtheat)) == {*FUNCTIONS, *OTHER_NAMES}
    for name, function in FUNCTIONS.items():
        assert getattr(healtheat, name) is function


def test_no_submodule_takes_the_name_of_a_function() -> None:
    modules = {module.name for module in pkgutil.iter_modules([str(ROOT / "healtheat")])}
    assert not modules & {*FUNCTIONS, *OTHER_NAMES}
    import healtheat.index.store  # as a user may, before or after

    assert callable(healtheat.build) and callable(healtheat.query)
    assert inspect.ismodule(healtheat.index)


def test_importing_costs_nothing() -> None:
    heavy = "numpy pyarrow duckdb faiss sklearn onnxruntime PIL typer"
    code = f"import sys, healtheat, healtheat.api; print([m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@by_name
def test_every_option_is_a_parameter_with_the_same_default(command: Callable[..., None]) -> None:
    name = command_name(command)
    options, wanted = parameters(command), parameters(FUNCTIONS[name])
    terminal = TERMINAL_ONLY.get(name, set()) | SAME.get(name, set())
    assert terminal <= set(options)
    assert set(options) - terminal == set(wanted) - LIBRARY_ONLY
    for option in set(options) - terminal:
        assert options[option] == wanted[option], option


@by_name
def test_functions_are_documented_and_typed(command: Callable[..., None]) -> None:
    function = FUNCTIONS[command_name(command)]
    assert len(inspect.getdoc(function) or "") > 60
    assert "return" in function.__annotations__
    assert set(parameters(function)) <= set(function.__annotations__)


def command_files() -> list[Path]:
    return [
        ROOT / "healtheat/commands" / f"{(command.__module__).rpartition('.')[2]}.py" for command in COMMANDS
    ]


@pytest.mark.parametrize("file", command_files(), ids=lambda file: file.stem)
def test_a_command_calls_its_one_function(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    called = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "api"
    }
    assert called == {file.stem}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "healtheat/commands").glob("*.py")), ids=lambda file: file.stem
)
def test_commands_hold_no_business(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.match(r"\s*select\b.*\bfrom\b", node.value, re.I | re.S), f"SQL: {node.value}"
        assert not (isinstance(node, ast.Attribute) and node.attr == "sql"), ast.unparse(node)
    for name in imported(tree):
        assert name.split(".")[0] not in ("pyarrow", "duckdb", "faiss", "numpy"), name


def imported(tree: ast.AST) -> set[str]:
    """Modules imported anywhere but for type checking alone."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small set in `set/` and its index in `index/set/`. Read it, do not write into it."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_set(folder / "set")
        report = healtheat.build("set/data.yaml", encoder=FakeEncoder())
    assert report.index == Path("index/set"), "named after the data set"
    assert (report.images, report.boxes, report.embedded > 0) == (12, 36, True)
    assert sum(report.flags.issues.values()) == report.flagged
    return folder


@pytest.fixture
def in_small(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(small)
    return small


def test_an_index_is_none_a_path_or_open(in_small: Path) -> None:
    with healtheat.Index.open(Path("index/set")) as opened:
        given = [None, "index/set", Path("index/set"), opened]
        rows = [healtheat.query(index, all_=True).to_pylist() for index in given]
        assert opened.names, "an index that was open stays open"
    assert rows[0] and rows.count(rows[0]) == len(rows)
    with pytest.raises(InputError, match="no such folder"):
        healtheat.query("absent")


def test_query_is_a_typed_table(in_small: Path) -> None:
    rows = healtheat.query(all_=True)
    assert isinstance(rows, pa.Table)
    types = {"image": pa.string(), "line": pa.int64(), "class_id": pa.int64(), "score": pa.float64()}
    assert {name: rows.schema.field(name).type for name in types} == types
    assert rows.schema.field("flagged").type == pa.bool_()


def test_words_and_filters_are_the_same(in_small: Path) -> None:
    by_words = healtheat.query(all_=True, issue="bad_box", class_=[3, "plain"], split=["train"])
    every = healtheat.query(all_=True).to_pylist()
    wanted = [
        r for r in every if r["issue"] == "bad_box" and r["class_id"] in (3, 7) and r["split"] == "train"
    ]
    assert wanted and by_words.num_rows == len(wanted)
    filters = healtheat.Filters(issues=["bad_box"], classes=[3, 7], splits=["train"], flagged_only=False)
    assert healtheat.query(filters=filters).to_pylist() == by_words.to_pylist()
    with pytest.raises(InputError, match="one of the two"):
        healtheat.query(filters=filters, issue="bad_box")


def test_query_knows_how_many_there_are(in_small: Path) -> None:
    from healtheat.findings.counts import QueryCounts

    every = healtheat.query(all_=True)
    counts = QueryCounts.read(healtheat.query(all_=True, limit=2))
    assert counts.found == every.num_rows > 2
    assert counts.flagged == healtheat.query().num_rows == sum(every["flagged"].to_pylist())


def test_figures_are_frozen_dataclasses(in_small: Path, tmp_path: Path) -> None:
    results = [
        healtheat.trust(),
        healtheat.verify(),
        healtheat.guard("set", against="set", rule="none"),
        healtheat.selftest(kind="flips", plantings=1, crops=0),
    ]
    for result in results:
        assert is_dataclass(result)
        with pytest.raises(AttributeError):
            setattr(result, fields(result)[0].name, None)
    trust, verified, guarded, tested = results
    assert [c.class_id for c in trust.classes] == [0, 3, 7] and trust.names[7] == "plain"
    assert verified.index == Path("index/set") and verified.damage == ()
    assert not guarded.collapse and guarded.report.comparison.changed == 0
    assert [r.kind for r in tested.results] + list(tested.skipped) == ["flips"]


def test_tables_and_the_rest(in_small: Path) -> None:
    assert healtheat.problems().column_names == ["file", "line", "reason", "image", "code"]
    listed = healtheat.encoders(no_speed=True)
    assert "imagenet" in listed["name"].to_pylist() and listed.schema.field("dim").type == pa.int64()
    with pytest.raises(EncoderError, match="did you mean 'imagenet'"):
        healtheat.build("set/data.yaml", encoder="imagnet")
    with pytest.raises(InputError, match="degrees"):
        healtheat.build("set/data.yaml", views="0,up")


def test_lists_and_cleanups(in_small: Path, tmp_path: Path) -> None:
    done = healtheat.export(tmp_path / "every.csv", all_=True)
    assert (done.format, done.findings) == ("csv", healtheat.query(all_=True).num_rows)
    assert (tmp_path / "every.csv").read_bytes().startswith(b"image,line,class_id,issue,score,")
    with pytest.raises(InputError, match="add format"):
        healtheat.export(tmp_path / "list", index="absent")
    planned = healtheat.apply(flagged=True, drop="boxes")
    assert planned.done == "planned" and planned.figures is not None and planned.folder is None
    with pytest.raises(InputError, match="no cleanup to roll back"):
        healtheat.rollback("set")
    with pytest.raises(InputError, match="no such folder"):
        healtheat.rollback("absent")


def test_report_is_one_file(in_small: Path, tmp_path: Path) -> None:
    report = healtheat.report(out=tmp_path / "r.html", per_issue=1, max_mb=5)
    assert report.size_bytes == (tmp_path / "r.html").stat().st_size
    assert "<title>set" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_review_says_where_it_listens_and_what_was_decided(
    in_small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import healtheat.reviewing.run as reviewing

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reviewing, "serve", stopped)
    addresses: list[str] = []
    done = healtheat.review(name="tester", port=0, ready=addresses.append)
    assert (done.index, done.decisions) == (Path("index/set"), 0)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?\w+=[\w-]+", addresses[0]) and len(addresses) == 1
    with pytest.raises(InputError, match="printable"):
        healtheat.review(name="two\nlines")


@pytest.mark.slow
def test_flag_and_score_report_the_same_figures(small: Path, tmp_path: Path) -> None:
    healtheat.build(small / "set/data.yaml", index=tmp_path / "own", encoder=FakeEncoder())
    flagged = healtheat.flag(tmp_path / "own", threshold={"bad_box": 0})
    again = healtheat.score(tmp_path / "own")
    assert again.flags == flagged.flags and flagged.flags.issues["bad_box"] == 36
    assert flagged.flags.places == 36 and 0 <= flagged.flags.errors <= 36
    by_text = healtheat.flag(tmp_path / "own", threshold=["bad_box=0"])
    assert by_text.flags == flagged.flags
    with pytest.raises(InputError, match="no such issue"):
        healtheat.flag(tmp_path / "own", threshold={"nothing": 0.5})


def test_contents_reads_names_alone(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    (tmp_path / "names.csv").write_text("image,class_id\na,0\na,1\n", encoding="utf-8")
    report = healtheat.contents(tmp_path / "labels", rule=str(tmp_path / "names.csv"))
    assert report.counts == {"missing_box": 1}
    assert report.table.schema.field("class_id").type == pa.int64()


@pytest.mark.slow
def test_demo_returns_what_it_made(tmp_path: Path) -> None:
    report = healtheat.demo(
        out=tmp_path / "set",
        index=tmp_path / "index",
        lists=tmp_path / "lists",
        images=12,
        encoder=FakeEncoder(),
    )
    assert report.build.boxes > 0 and report.made.truth
    assert all(path.exists() for path in report.written)
    assert (tmp_path / "lists/suspicious.csv") in report.written


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: healtheat.query(3), "index: expected a path or an opened Index, found int"),
        (lambda folder: healtheat.build(3), "data: expected a path, found int"),
        (lambda folder: healtheat.build("d", index=3), "^index: expected a path, found int"),
        (lambda folder: healtheat.build("d", weights=3), "^weights: expected a path, found int"),
        (lambda folder: healtheat.build("d", threads="two"), "^threads: expected a whole number, found str"),
        (lambda folder: healtheat.build("d", threads=0), "^threads 0: give a whole number of at least 1"),
        (lambda folder: healtheat.build("d", padding="1"), "^padding: expected a number, found str"),
        (lambda folder: healtheat.build("d", strict="no"), "^strict: expected True or False, found str"),
        (lambda folder: healtheat.build("d", fdr=2), "^fdr 2: give a share between 0 and 1"),
        (lambda folder: healtheat.query(folder, limit="3"), "^limit: expected a whole number, found str"),
        (lambda folder: healtheat.query(folder, limit=True), "^limit: expected a whole number, found bool"),
        (lambda folder: healtheat.query(folder, limit=-1), "^limit -1: give a whole number of at least 0"),
        (lambda folder: healtheat.query(folder, issue=3), "^issue: expected text or several, found int"),
        (lambda folder: healtheat.query(folder, min_score="1"), "^min_score: expected a number, found str"),
        (lambda folder: healtheat.query(folder, "mislabel"), "^filters: expected Filters, found str"),
        (lambda folder: healtheat.Filters(issue="mislabel"), "no 'issue'; did you mean 'issues'"),
        (
            lambda folder: healtheat.Filters(flagged_only=1),
            "^flagged_only: expected True or False, found int",
        ),
        (lambda folder: healtheat.similar(3, folder), "image: expected a path, found int"),
        (
            lambda folder: healtheat.similar("a", folder, limit=-1),
            "^limit -1: give a whole number of at least",
        ),
        (lambda folder: healtheat.similar("a", folder, box=[1]), "^box: expected four numbers"),
        (lambda folder: healtheat.report(folder, out=3), "^out: expected a path, found int"),
        (lambda folder: healtheat.report(folder, per_issue=1.5), "^per_issue: expected a whole number"),
        (lambda folder: healtheat.export("a.csv", index=folder, crops=True), "^crops is for format='atlas'"),
        (lambda folder: healtheat.export(3), "^to: expected a path, found int"),
        (
            lambda folder: healtheat.apply(folder, to="x", in_place=True),
            "^to writes a copy and in_place changes",
        ),
        (lambda folder: healtheat.flag(folder, threshold=["a=1"]), "^threshold 'a=1': no such issue"),
        (
            lambda folder: healtheat.flag(folder, fdr=0.1, threshold=["outlier=1"]),
            "leave out threshold or fdr",
        ),
        (lambda folder: healtheat.selftest(folder, seed="x"), "^seed: expected a whole number, found str"),
        (lambda folder: healtheat.encoders(threads="x"), "^threads: expected a whole number, found str"),
        (lambda folder: healtheat.demo(images="x"), "^images: expected a whole number, found str"),
        (lambda folder: healtheat.score(folder, predictions=3), "^predictions: expected a path, found int"),
        (lambda folder: healtheat.apply(folder, drop="foo"), "drop 'foo': choose from boxes, images, mask"),
    ],
)
def test_values_of_another_kind_are_refused(
    call: Callable[[Path], object], message: str, small: Path
) -> None:
    index = small / "index/set"
    with healtheat.Index.open(str(index)) as opened:
        assert len(opened.boxes())
    with pytest.raises(InputError, match=message):
        call(index)
