"""`healtheat guard`: does a proposed relabelling collapse classes?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._terminal import console, echo, note, print_json
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.guarding import GuardReport, Shares

ROWS = 10


def guard(
    proposed: Annotated[
        Path,
        typer.Argument(
            metavar="PROPOSED",
            help="The new labels: COCO file or results, data set, or folder of YOLO label files.",
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DATA", help="The present labels, in any of the same formats."),
    ] = None,
    rule: Annotated[
        str,
        typer.Option(
            "--rule",
            metavar="auto|none|aihub|FILE.csv|REGEX",
            help="How an image's name lists what is on it (see `healtheat contents`); auto: AI Hub's names "
            "if nearly all follow them and class ids can be told.",
        ),
    ] = "auto",
    classes: options.ClassesOption = None,
    names: options.NamesOption = None,
    outside: options.OutsideOption = False,
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
) -> None:
    """Say whether a proposed relabelling collapses classes: exit code 1 if so, 0 if not.

    Compares with the present labels (--against), with what the images' names list, or, where there is
    neither, looks at the spread over classes alone. Nothing is changed. All figures are printed, so that you
    may disagree.

    \b
    Examples:
      healtheat guard pseudo_labels.json
      healtheat guard runs/predict/labels --against data.yaml
      healtheat guard proposed.json --against labels.json --format json
    """
    guarded = api.guard(proposed, against=against, rule=rule, classes=classes, names=names, outside=outside)
    if guarded.codes_unused:
        note("the names look like AI Hub's, but their codes lead to no class: --classes CSV would use them")
    for path, problems in guarded.problems.items():
        note(f"{path}: {counted(len(problems), 'problem')}; the first: {problems[0]}")
    if format == "json":
        print_json(guarded.report.as_dict())
    else:
        _show(guarded.report)
    if guarded.collapse:
        raise typer.Exit(1)


def _show(report: GuardReport) -> None:
    from rich.table import Table

    out = console()
    name = {c: f"{c} {n}".strip() for c, n in report.names.items()}
    p, c, a = report.proposed, report.comparison, report.agreement
    spreads = {"proposed": c.proposed, "present": c.current} if c else {"proposed": p}
    figures = Table("", *spreads, box=None)
    rows: tuple[tuple[str, Callable[[Shares], str]], ...] = (
        ("boxes", lambda s: str(s.boxes)),
        ("classes alive", lambda s: f"{s.alive} of {s.classes}"),
        ("most frequent class", lambda s: f"{s.top_share:.1%} {name.get(s.top_class, str(s.top_class))}"),
        ("entropy (1 = even)", lambda s: f"{s.normalised_entropy:.3f}"),
        ("effective classes", lambda s: f"{s.effective_classes:.1f}"),
    )
    for title, show in rows:
        figures.add_row(title, *(show(s) for s in spreads.values()))
    if a is not None:
        more = [f"{c.agreement.share:.1%}" if c.agreement else "-"] if c else []
        figures.add_row("agree with image names", f"{a.share:.1%}", *more)
        figures.add_row("images exactly as named", f"{a.images_right} of {a.images}", *(["-"] if c else []))
    out.print(figures)
    if c is not None:
        found = f"{counted(c.matched, 'box')} found again on {counted(c.images, 'image')}"
        echo()
        out.print(f"{found}, {c.changed} with another class")
        if c.flows:
            flows = Table("boxes", "from", "to", box=None)
            for f in c.flows[:ROWS]:
                flows.add_row(
                    str(f.boxes),
                    name.get(f.from_class, str(f.from_class)),
                    name.get(f.to_class, str(f.to_class)),
                )
            out.print(flows)
        if c.dying:
            out.print(
                "die: " + ", ".join(f"{name.get(k, str(k))} ({n})" for k, n in list(c.dying.items())[:ROWS])
            )
    if p.dead:
        out.print(
            "no box: "
            + ", ".join(name.get(k, str(k)) for k in p.dead[:ROWS])
            + (" …" if len(p.dead) > ROWS else "")
        )
    out.print("")
    for check in report.checks:
        out.print(("FAILED  " if check.failed else "passed  ") + check.text)
    for line in report.notes:
        out.print(line)
    out.print(f"verdict: {report.verdict} ({report.summary})")
