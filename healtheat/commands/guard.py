"""`healtheat guard`: does a proposed relabelling collapse classes?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from healtheat.commands import _options as options
from healtheat.commands._terminal import console, note

if TYPE_CHECKING:
    from healtheat.guarding import GuardReport, Shares

ROWS = 10


def guard(
    proposed: Annotated[
        Path,
        typer.Argument(
            metavar="PROPOSED", help="The new labels: COCO file, data set or folder of YOLO label files."
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
            help="How a photo's name lists what is on it (see `healtheat contents`); auto: AI Hub's names if "
            "nearly all follow them and class ids can be told.",
        ),
    ] = "auto",
    classes: options.ClassesOption = None,
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
) -> None:
    """Say whether a proposed relabelling collapses classes: exit code 1 if so, 0 if not.

    Compares with the present labels (--against), with what the photos' names list, or, where there is
    neither, looks at the spread over classes alone. Nothing is changed. All figures are printed, so that you
    may disagree.

    \b
    Examples:
      healtheat guard pseudo_labels.json
      healtheat guard runs/predict/labels --against data.yaml
      healtheat guard proposed.json --against labels.json --format json
    """
    import json

    from healtheat.guarding import judge
    from healtheat.listing import AIHUB, detect, listing, open_rule, read_classes
    from healtheat.sources.label_set import read_label_set

    reader = AIHUB if rule in ("auto", "none") else open_rule(rule)
    known = read_classes(classes, reader) if classes else None
    names = known.names if known else None
    new = read_label_set(proposed, names=names, image_suffix=reader.image_suffix)
    old = read_label_set(against, names=names, image_suffix=reader.image_suffix) if against else None
    what = None
    if rule == "auto":
        what = detect(new.images, new.names, known)
        if what is None and new.images and AIHUB.codes(new.images[0]) is not None:
            note(
                "the names look like AI Hub's, but their codes lead to no class: --classes CSV would use them"
            )
    elif rule != "none":
        what = listing(new.images, new.names, reader, known)
    report = judge(new, old, what.listed if what else None)
    for labels, path in ((new, proposed), (old, against)):
        if labels is not None and labels.problems:
            note(f"{path}: {len(labels.problems)} problems; the first: {labels.problems[0]}")
    if format == "json":
        sys.stdout.write(json.dumps(report.as_dict(), ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    else:
        _show(report)
    if report.verdict == "collapse":
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
        figures.add_row("agree with photo names", f"{a.share:.1%}", *more)
        figures.add_row("photos exactly as named", f"{a.photos_right} of {a.photos}", *(["-"] if c else []))
    out.print(figures)
    if c is not None:
        out.print(f"\n{c.matched} boxes found again on {c.images} photos, {c.changed} with another class")
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
