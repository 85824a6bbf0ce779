"""healtheat finds wrong labels in fine-grained object-detection data and never changes a class id.

The main job, from Python:

    source = healtheat.open_source("data/pills/data.yaml")
    report = healtheat.build_index(source, Path("index/pills"), encoder=healtheat.load_encoder())
    index = healtheat.Index.open(Path("index/pills"))
    rows = healtheat.find_samples(index, healtheat.Filters(issues=["mislabel"]), limit=100)
    healtheat.write_table(rows, Path("suspicious.csv"), "csv")

Names are loaded when they are first used, so that `import healtheat` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from healtheat.building.build import BuildReport as BuildReport
    from healtheat.building.build import build as build_index
    from healtheat.core.errors import HealtheatError as HealtheatError
    from healtheat.core.table import write_table as write_table
    from healtheat.drawing import make_demo as make_demo
    from healtheat.embedding import list_encoders as list_encoders
    from healtheat.embedding import load_encoder as load_encoder
    from healtheat.findings.query import Filters as Filters
    from healtheat.findings.query import query as find_samples
    from healtheat.index import Index as Index
    from healtheat.sources import open_source as open_source

__version__ = "0.1.0"

# public name → module and name there; `build` and `query` are called otherwise, as those are modules here
_PUBLIC = {
    "BuildReport": ("healtheat.building.build", "BuildReport"),
    "Filters": ("healtheat.findings.query", "Filters"),
    "HealtheatError": ("healtheat.core.errors", "HealtheatError"),
    "Index": ("healtheat.index", "Index"),
    "build_index": ("healtheat.building.build", "build"),
    "find_samples": ("healtheat.findings.query", "query"),
    "list_encoders": ("healtheat.embedding", "list_encoders"),
    "load_encoder": ("healtheat.embedding", "load_encoder"),
    "make_demo": ("healtheat.drawing", "make_demo"),
    "open_source": ("healtheat.sources", "open_source"),
    "write_table": ("healtheat.core.table", "write_table"),
}

__all__ = [
    "BuildReport",
    "Filters",
    "HealtheatError",
    "Index",
    "build_index",
    "find_samples",
    "list_encoders",
    "load_encoder",
    "make_demo",
    "open_source",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'healtheat' has no attribute {name!r}")
    module, original = _PUBLIC[name]
    return getattr(import_module(module), original)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
