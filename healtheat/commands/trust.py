"""`healtheat trust`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from healtheat import api
from healtheat.commands import _options as options
from healtheat.commands._summary import print_silences
from healtheat.commands._terminal import console, echo, note, print_json
from healtheat.core.text import counted

if TYPE_CHECKING:
    from healtheat.signals.evidence.trust import TrustReport

PAIRS = 20


def trust(
    index: options.IndexOption = None,
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="What goes to stdout.")
    ] = "table",
) -> None:
    """Say which classes this encoder can tell apart on this data, and which look alike to it.

    For each class: how often a model that never saw an image's source puts its boxes into the class they are
    labelled with, with a 90 % interval; every source counts once. Then the pairs that are mixed up, and the
    look-alike groups they make. Do not believe label findings between classes that are mixed up.

    \b
    Examples:
      healtheat trust
      healtheat trust --format json
    """
    report = api.trust(options.which_index(index))
    if format == "json":
        print_json(_plain(report))
    else:
        _show(report)


def _plain(report: TrustReport) -> dict[str, Any]:
    names = report.names
    return {
        "classes": [{**asdict(c), "name": names.get(c.class_id, "")} for c in report.classes],
        "pairs": [
            {**asdict(p), "name_a": names.get(p.class_a, ""), "name_b": names.get(p.class_b, "")}
            for p in report.pairs
        ],
        "look_alikes": report.look_alikes,
        "likely_look_alikes": report.likely_look_alikes,
        "silences": [asdict(silence) for silence in report.silences],
    }


def _show(report: TrustReport) -> None:
    from rich.table import Table

    from healtheat.signals.evidence.trust import VERDICTS

    out = console()

    def named(class_id: int) -> str:
        return f"{class_id} {report.names.get(class_id, '')}".strip()

    classes = Table(
        "class", "boxes", "sources", "agreement", "90 % interval", "verdict", "mixed up with", box=None
    )
    for c in sorted(report.classes, key=lambda c: (c.agreement, c.class_id)):
        shown = "-" if math.isnan(c.agreement) else f"{c.agreement:.2f}"
        interval = f"{c.low:.2f} to {c.high:.2f}"
        mixed = ", ".join(named(k) for k in c.mixed_with)
        classes.add_row(
            named(c.class_id), str(c.boxes), str(c.sources), shown, interval, VERDICTS[c.verdict], mixed
        )
    out.print(classes)
    pairs = report.pairs
    if pairs:
        table = Table(
            "pair", "agreement", "90 % interval", "first as second", "second as first", "verdict", box=None
        )
        for p in pairs[:PAIRS]:
            table.add_row(
                f"{named(p.class_a)} / {named(p.class_b)}",
                f"{p.agreement:.2f}",
                f"{p.low:.2f} to {p.high:.2f}",
                f"{p.a_as_b:.0%}",
                f"{p.b_as_a:.0%}",
                VERDICTS[p.verdict],
            )
        echo()
        out.print("pairs, least told apart first (0.5 is a coin)")
        out.print(table)
        if len(pairs) > PAIRS:
            note(f"{counted(len(pairs) - PAIRS, 'more pair')} (--format json lists them all)")
    for title, groups in (
        ("look-alikes", report.look_alikes),
        ("likely look-alikes (pairs that cannot be said included)", report.likely_look_alikes),
    ):
        echo()
        out.print(title + ("" if groups else ": none"))
        for group in groups:
            out.print("  " + ", ".join(named(c) for c in group))
    if report.silences:
        echo("")
    print_silences(report.silences)
