"""healtheat finds wrong labels in fine-grained object-detection data and never changes a class id.

One function per command, of the same word and with the same defaults:

    healtheat.build("pills/data.yaml")                  # writes ./index/pills
    rows = healtheat.query(issue="mislabel", limit=100) # an Arrow table
    healtheat.trust()                                   # a dataclass of figures

`help(healtheat.api)` lists them all. They are loaded when they are first used, so that `import healtheat`
costs nothing.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from healtheat.core.version import __version__ as __version__

if _TYPE_CHECKING:
    from healtheat.api import (
        add,
        apply,
        batches,
        build,
        contents,
        demo,
        diff,
        encoders,
        export,
        flag,
        guard,
        prelabel,
        problems,
        query,
        remove,
        report,
        review,
        rollback,
        score,
        selftest,
        similar,
        trust,
        verify,
        vet,
    )
    from healtheat.core.errors import HealtheatError
    from healtheat.findings.filters import Filters
    from healtheat.index import Index

__all__ = [
    "Filters",
    "HealtheatError",
    "Index",
    "add",
    "apply",
    "batches",
    "build",
    "contents",
    "demo",
    "diff",
    "encoders",
    "export",
    "flag",
    "guard",
    "prelabel",
    "problems",
    "query",
    "remove",
    "report",
    "review",
    "rollback",
    "score",
    "selftest",
    "similar",
    "trust",
    "verify",
    "vet",
]

_ELSEWHERE = {
    "Filters": "healtheat.findings.filters",
    "HealtheatError": "healtheat.core.errors",
    "Index": "healtheat.index",
}


def __getattr__(name: str) -> _Any:
    if name not in __all__:
        raise AttributeError(f"module 'healtheat' has no attribute {name!r}")
    return getattr(_import_module(_ELSEWHERE.get(name, "healtheat.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
