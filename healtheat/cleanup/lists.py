"""The lists that go with a cleanup, as CSV, and its figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from healtheat.cleanup.figures import Figures
from healtheat.cleanup.plan import Plan
from healtheat.cleanup.rows import HeldBack, LeftOut, PlacedBox, Relabel
from healtheat.core.table import write_csv


def write_lists(plan: Plan, folder: Path) -> None:
    """Write removed.csv, relabel.csv, boxes.csv, held_back.csv and apply.json into the folder `folder`."""
    write_rows(folder / "removed.csv", LeftOut, plan.left_out)
    write_rows(folder / "relabel.csv", Relabel, plan.relabels)
    write_rows(folder / "boxes.csv", PlacedBox, plan.placed)
    write_rows(folder / "held_back.csv", HeldBack, plan.held_back)
    write_figures(folder / "apply.json", plan)


def write_rows(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    """Write dataclass rows of one kind as CSV; the header is there without rows too."""
    columns = {field.name: [getattr(row, field.name) for row in rows] for field in fields(kind)}
    write_table_csv(path, pa.table(columns))


def write_table_csv(path: Path, table: pa.Table) -> None:
    """Write a table as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv(table, file)


def write_figures(path: Path, plan: Plan) -> None:
    """Write the plan in figures as JSON."""
    text = json.dumps(Figures.of(plan).summary(), ensure_ascii=False, indent=1) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
