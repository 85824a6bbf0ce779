"""The lists that go with a cleanup: removed.csv, relabel.csv, held_back.csv and the figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from healtheat.cleanup.decide import HeldBack, Relabel, Removal
from healtheat.cleanup.plan import ApplyPlan
from healtheat.core.table import write_csv

LISTS = ("removed.csv", "relabel.csv", "held_back.csv", "apply.json")


def write_lists(plan: ApplyPlan, folder: Path) -> None:
    """Write the lists into `folder`, which must be there. They are not synced."""
    tables: tuple[tuple[str, type[Any], Sequence[Any]], ...] = (
        ("removed.csv", Removal, plan.removals),
        ("relabel.csv", Relabel, plan.relabels),
        ("held_back.csv", HeldBack, plan.held_back),
    )
    for name, kind, rows in tables:
        columns = {f.name: [asdict(row)[f.name] for row in rows] for f in fields(kind)}
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            write_csv(pa.table(columns), file)
    text = json.dumps(plan.summary(), ensure_ascii=False, indent=1) + "\n"
    (folder / "apply.json").write_text(text, encoding="utf-8", newline="\n")
