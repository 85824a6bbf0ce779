"""An index changed by somebody who knows the format: the hashes in its manifest are right again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from healtheat.core.atomic import sha256_file
from healtheat.index.manifest import _checksum, _layout


def forge(index: Path, *statements: str) -> None:
    """Run SQL on the catalog of the index in the folder `index`, then sign it again."""
    catalog = index / "catalog.duckdb"
    connection = duckdb.connect(str(catalog))
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute("CHECKPOINT")
    finally:
        connection.close()
    for extra in index.glob("catalog.duckdb.*"):
        extra.unlink()
    sign(index)


def sign(
    index: Path, change: Callable[[dict[str, Any]], object] = lambda body: None, *, hashed: bool = True
) -> None:
    """Change the body of the manifest and write hashes and checksum as a build would.

    Without `hashed` the hashes of files stay, right or wrong.
    """
    manifest = index / "manifest.json"
    body = json.loads(manifest.read_bytes())
    body.pop("checksum", None)
    for name in body["files"]:
        file = index / name
        if hashed and file.is_file():
            body["files"][name] = {"sha256": sha256_file(file), "size": file.stat().st_size}
    change(body)
    manifest.write_bytes(_layout({**body, "checksum": _checksum(body)}))
