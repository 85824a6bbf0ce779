"""The built folder on disk: vectors (one FAISS shard a class), catalog (DuckDB), manifest, verdicts."""

from healtheat.index.manifest import FORMAT_VERSION, Manifest
from healtheat.index.store import Index
from healtheat.index.verdicts.log import NewVerdict, Verdict

__all__ = ["FORMAT_VERSION", "Index", "Manifest", "NewVerdict", "Verdict"]
