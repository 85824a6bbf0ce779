"""`healtheat query`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import console, note, print_rows
from healtheat.core.text import counted

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 20  # rows of a table on the terminal where --limit is not given


def query(
    index: options.IndexOption = None,
    issue: options.IssueOption = None,
    class_: options.ClassOption = None,
    split: options.SplitOption = None,
    image: options.ImageOption = None,
    signal: options.SignalOption = None,
    min_score: options.MinScoreOption = None,
    verdict: options.VerdictOption = None,
    status: options.StatusOption = None,
    all_: options.AllOption = False,
    sort: Annotated[
        Literal["suspicion", "score", "image", "class", "issue", "box"] | None,
        typer.Option(help="Default: score; with --all suspicion (one ranking over all issues)."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            min=0,
            metavar="N",
            help=f"At most N rows. Default: {SHOWN} for a table, else all.",
        ),
    ] = None,
    format: Annotated[
        Literal["table", "csv", "json", "jsonl"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
    fail_over: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Exit with 1 if more than N flagged places pass the filters. For CI."
        ),
    ] = None,
) -> None:
    """List suspicious places, most suspicious first.

    A place is one box, or one spot where a box is missing. It has one row, led by its strongest reason; with
    --issue or --all every box and issue has a row of its own.

    Lines are counted from 0 in CSV and JSON, and from 1, as editors do, in the table. Scores run from 0 to
    1, 1 is the most suspicious. A suggestion is advice; class_id is always what the label file says.

    \b
    Examples:
      healtheat query
      healtheat query --issue mislabel --class tylenol --limit 50
      healtheat query --split train --format csv > suspicious.csv
      healtheat query --all --issue bad_box --issue background --format csv
      healtheat query --issue duplicate --fail-over 0
    """
    from healtheat.findings.counts import QueryCounts

    if limit is None and format == "table":
        limit = SHOWN
    rows = api.query(
        options.which_index(index),
        issue=issue,
        class_=class_,
        split=split,
        image=image,
        signal=signal,
        min_score=min_score,
        verdict=verdict,
        status=status,
        all_=all_,
        sort=sort,
        limit=limit,
    )
    counts = QueryCounts.read(rows)
    if format == "table":
        _print_table(rows)
        total, n = counts.found, counts.unjudged
        if total > rows.num_rows:
            note(f"{rows.num_rows} of {total} shown; --limit {total} shows all, --format csv too")
        elif not total:
            note("nothing found" if all_ else "nothing flagged; --all lists every judged box")
            if n:
                had = counted(n, "box")
                note(f"{had} of this choice had no class judgement: healtheat trust says why")
    else:
        print_rows(rows, format)
    sys.stdout.flush()
    if fail_over is not None and counts.flagged > fail_over:
        note(f"gate: flagged places: {counts.flagged}, at most {fail_over} allowed")
        raise typer.Exit(1)


def _print_table(rows: pa.Table) -> None:
    """Findings for people, on stdout."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("score", justify="right")
    for name in ("issue", "class", "suggested"):
        table.add_column(name)
    table.add_column("where", overflow="fold", ratio=2)
    table.add_column("reason", overflow="fold", ratio=3)
    for row in rows.to_pylist():
        at_line = row["line"] is not None and row["line"] >= 0 and row["label_file"]
        where = f"{row['label_file']}:{row['line'] + 1}" if at_line else row["image"] or ""
        row["reason"] = (row["reason"] or "").removeprefix(f"{where}: ")
        cells = (
            "" if row["score"] is None else f"{row['score']:.3f}",
            row["issue"],
            _class(row["class_id"], row["class_name"]),
            _class(row["suggestion"], row["suggestion_name"]),
            where,
            _reason(row),
        )
        table.add_row(*(str(cell) for cell in cells))
    if rows.num_rows:
        console().print(table)


def _reason(row: dict[str, Any]) -> str:
    """The reason, and what else the place stands for."""
    parts = [row["reason"]]
    if row["also"]:
        parts.append(f"also {row['also']}")
    twin = row["twin_box_id"]
    exchanged = row["issue"] != "duplicate" and twin is not None and twin >= 0  # the reason names it
    if (more := row["copies"] - exchanged) > 0:
        parts.append(f"and {more} more like it (--issue {row['issue']} lists each)")
    return "; ".join(filter(None, parts))


def _class(class_id: int | None, name: str | None) -> str:
    return "" if class_id is None or class_id < 0 else f"{class_id} {name or ''}".strip()
