"""index/README.md lists the tables of the catalog as they are."""

import re
from pathlib import Path

from healtheat.index.tables import TABLES

TEXT = (Path(__file__).parents[2] / "index" / "README.md").read_text(encoding="utf-8")


def test_every_table_and_its_columns_in_order() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|$", TEXT, re.MULTILINE))
    assert {name: listed.get(name, "").split(", ") for name in TABLES} == {
        name: list(columns) for name, columns in TABLES.items()
    }
