"""What would be found on this data with this encoder: errors planted in memory, then looked for."""

from healtheat.index.encoder import encoder_of
from healtheat.planting.crops import IndexCrops
from healtheat.planting.metrics import Estimate, Ranking, average_precision, estimate, precision_at
from healtheat.planting.on_index import selftest_index
from healtheat.planting.run import KINDS, KindResult, SelftestReport, selftest

__all__ = [
    "KINDS",
    "Estimate",
    "IndexCrops",
    "KindResult",
    "Ranking",
    "SelftestReport",
    "average_precision",
    "encoder_of",
    "estimate",
    "precision_at",
    "selftest",
    "selftest_index",
]
