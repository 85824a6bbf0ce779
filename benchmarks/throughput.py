"""How fast `build` is end to end, beside the encoder's bare forward rate at the same batch size, in one run.

    python -m benchmarks.throughput [--data DATA.YAML] [--encoder NAME ...] [--repeat N] [--out FILE.md]

The bare rate is measured before and after every build, so that a machine that slows down meanwhile shows.
Every build starts from nothing in a folder of its own. Writes benchmarks/throughput.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from healtheat.building.build import build
from healtheat.embedding import DEFAULT, Encoder, load_encoder
from healtheat.embedding.speed import crops_per_s
from healtheat.sources import open_source

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("HEALTHEAT_SHARED", HERE.parent.parent / "shared"))
BARE_S = 8.0
LIBRARIES = ("numpy", "pillow", "onnxruntime", "faiss-cpu", "duckdb", "pyarrow", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Run:
    """One build and the bare rates around it."""

    boxes: int
    crops: int  # boxes and background tiles: all that went through the encoder
    seconds: dict[str, float]
    bare_crops_per_s: float

    @property
    def crops_per_s(self) -> float:
        return self.crops / self.seconds["total"]

    @property
    def embed_crops_per_s(self) -> float:
        return self.crops / self.seconds["embed"]


def one_run(data: Path, encoder: Encoder) -> Run:
    """Build once between two bare measurements."""
    before = crops_per_s(encoder, BARE_S)
    with tempfile.TemporaryDirectory(prefix="healtheat-bench-") as folder:
        report = build(open_source(data), Path(folder) / "index", encoder=encoder)
    bare = statistics.mean([before, crops_per_s(encoder, BARE_S)])
    return Run(report.boxes, report.embedded, dict(report.seconds), bare)


def machine() -> str:
    """Processor, cores and system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model
        )
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def report(data: Path, runs: dict[str, tuple[Encoder, list[Run]]]) -> str:
    """The Markdown page: medians over the runs."""
    lines = [
        "# Throughput of `build`",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC. {machine()}.",
        ", ".join(f"{name} {version(name)}" for name in LIBRARIES) + ".",
        "",
        f"Data: `{data.parent.name}/{data.name}`. Every build starts from nothing: read, hash, decode,",
        "cut, embed, write, score, commit. `bare` is the encoder alone on full batches of the same size,",
        "all views included, measured before and after each build in the same process. `embed` is the",
        "build up to the last vector, without writing shards, scoring and committing. Crops are boxes and",
        "background tiles. Medians;",
        "range in brackets.",
        "",
        "| encoder | views | batch | crops (boxes) | bare crops/s | build crops/s | of bare | embed crops/s | of bare |",  # noqa: E501
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, (encoder, done) in runs.items():
        bare = statistics.median(run.bare_crops_per_s for run in done)
        whole = statistics.median(run.crops_per_s for run in done)
        embed = statistics.median(run.embed_crops_per_s for run in done)
        low, high = min(run.crops_per_s for run in done), max(run.crops_per_s for run in done)
        spec, first = encoder.spec, done[0]
        lines.append(
            f"| {name} | {len(spec.views)} | {spec.batch_size} | {first.crops} ({first.boxes}) "
            f"| {bare:.0f} | {whole:.0f} ({low:.0f} to {high:.0f}) | {whole / bare:.0%} "
            f"| {embed:.0f} | {embed / bare:.0%} |"
        )
    lines += ["", "Seconds a stage (medians):", ""]
    stages = list(next(iter(runs.values()))[1][0].seconds)
    lines += ["| encoder | " + " | ".join(stages) + " |", "|---" * (len(stages) + 1) + "|"]
    for name, (_, done) in runs.items():
        cells = [f"{statistics.median(run.seconds[stage] for run in done):.2f}" for stage in stages]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", f"{len(done)} runs each. `encoder` is the part of `embed` spent in the encoder itself.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=SHARED / "data" / "pushin-pill" / "data.yaml")
    parser.add_argument("--encoder", nargs="*", default=[DEFAULT])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "throughput.md")
    asked = parser.parse_args()
    if not asked.data.is_file():
        raise SystemExit(f"{asked.data}: no such file; give --data or set HEALTHEAT_SHARED")
    runs = {}
    for name in asked.encoder:
        encoder = load_encoder(name)
        runs[name] = encoder, [one_run(asked.data, encoder) for _ in range(asked.repeat)]
    text = report(asked.data, runs)
    asked.out.write_text(text, encoding="utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main()
