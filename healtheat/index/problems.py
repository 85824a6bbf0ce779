"""Problems as a table."""

from __future__ import annotations

import pyarrow as pa

from healtheat.index.store import Index


def problem_rows(index: Index) -> pa.Table:
    """Lines and files that could not be read: file, line, reason, image (its path), code, as they were met.

    Lines are counted from 0, null for a whole file; `code` is a ProblemCode.
    """
    return index.sql(
        "SELECT p.file, p.line, p.reason, i.path AS image, p.code FROM problems p "
        "LEFT JOIN images i USING (image_id) ORDER BY problem_id"
    )
