"""index/README.md specifies the format: its tables and its version are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from healtheat.index import FORMAT_VERSION, Manifest
from healtheat.index.tables import TABLES
from healtheat.index.verdicts.spots import SPOTS_SCHEMA
from healtheat.index.verdicts.table import VERDICTS_SCHEMA

TEXT = (Path(__file__).resolve().parents[2] / "index" / "README.md").read_text(encoding="utf-8")


def rows(part: str) -> dict[str, str]:
    """First column → second, of the tables of one chapter."""
    chapter = TEXT.partition(f"## {part}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| (`\S+`(?:, `\S+`)*) \| (.*) \|$", chapter, re.M))


def test_its_version_is_that_of_the_code() -> None:
    assert f"format version {FORMAT_VERSION}." in TEXT
    assert rows("manifest.json")["`format_version`"].startswith(f"{FORMAT_VERSION};")


def test_its_tables_are_those_of_the_catalog() -> None:
    written = {name.strip("`"): columns.split(", ") for name, columns in rows("catalog.duckdb").items()}
    verdicts = {name: written.pop(name) for name in ("verdicts", "current_verdicts", "spots")}
    assert written == {name: list(columns) for name, columns in TABLES.items()}
    assert verdicts["verdicts"] == VERDICTS_SCHEMA.names
    assert verdicts["spots"] == SPOTS_SCHEMA.names


def test_its_keys_are_those_of_the_manifest() -> None:
    keys = {key for cell in rows("manifest.json") for key in re.findall(r"`(\w+)`", cell)}
    assert keys == set(Manifest.model_fields)
