"""How many findings pass the filters of a query, kept in the metadata of its table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import pyarrow as pa

from healtheat.findings.filters import Filters, Findings
from healtheat.findings.query import Each, count, unjudged


@dataclass(frozen=True, slots=True)
class QueryCounts:
    """`found` places (findings, where each issue has its own row) pass the filters, whatever the limit.

    `flagged` places of them are flagged and nobody has cleared them. `unjudged`: boxes of the classes asked
    for whose class could not be judged.
    """

    found: int
    flagged: int
    unjudged: int

    @classmethod
    def of(cls, index: Findings, filters: Filters, *, each: Each = "issue") -> QueryCounts:
        """The figures of `filters` over `index`."""
        return cls(
            found=count(index, filters, each=each),
            flagged=count(index, filters.only_flagged(), each="place"),
            unjudged=unjudged(index, filters.class_ids),
        )

    def added_to(self, rows: pa.Table) -> pa.Table:
        """`rows` with these figures in the schema's metadata."""
        return rows.replace_schema_metadata({name: str(value) for name, value in asdict(self).items()})

    @classmethod
    def read(cls, rows: pa.Table) -> QueryCounts:
        """The figures out of the metadata of a table that `healtheat.query` returned."""
        given = rows.schema.metadata
        return cls(**{field.name: int(given[field.name.encode()]) for field in fields(cls)})
