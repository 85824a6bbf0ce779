"""Do flags mean what they say? The realised share of false alarms at `--fdr`, and what abstaining is worth.

    python -m benchmarks.flags [--plantings 30] [--fdr 0.1] [--encoders pill,imagenet] [--out FOLDER]
        [--data DATA.yaml --one-per-source MARK --groups "" --profiles flips]

Every planting is the hard setting of quality.py with another seed (100 and on, none of those reported or
tuned on there) and one of the profiles in turn. Flags are counted over places (all issues together; a box
once). Writes flags.md, or flags-NAME.md for another data set.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.quality import GROUPS, HERE, QUEUES, Setting, plant, truth
from healtheat.building.build import build
from healtheat.embedding import load_encoder
from healtheat.findings.flag import FindingSettings, expected_errors, find
from healtheat.index import Index
from healtheat.signals import samples_from
from healtheat.sources import open_source

WHITE = {int(c) for c in GROUPS.split(";")[0].split(",")}  # four round white tablets
FIRST_SEED = 100


def interval(values: list[float], rounds: int = 2000) -> tuple[float, float]:
    """90 % bootstrap interval of the mean over plantings."""
    data, rng = np.array(values), np.random.default_rng(0)
    means = data[rng.integers(0, len(data), (rounds, len(data)))].mean(axis=1)
    return float(np.quantile(means, 0.05)), float(np.quantile(means, 0.95))


def judge(
    profile: str, seed: int, encoder: str, fdr: float, budget: int, work: Path, setting: Setting
) -> dict[str, object]:
    """Counts of one planting."""
    folder = plant(profile, seed, work / f"{profile}-{seed}", setting)
    index_dir = work / "index"
    build(open_source(folder / "data.yaml"), index_dir, encoder=load_encoder(encoder))
    with Index.open(index_dir, verify=False) as index:
        samples, scores = samples_from(index), index.scores()
    errors, known = truth(samples, folder)
    at = {int(box): row for row, box in enumerate(samples.boxes.box_id)}
    out: dict[str, object] = {"profile": profile, "errors": int(errors.sum())}
    wrong = errors | known
    free = _without_abstaining(scores)
    for name, settings in (("fdr", FindingSettings(fdr=fdr)), ("default", FindingSettings())):
        found = find(scores, settings)
        rows = found.to_pylist()
        hits = {at[row["box_id"]] for row in rows if row["flagged"] and row["box_id"] >= 0}
        out[name] = (len(hits), sum(errors[b] for b in hits), sum(wrong[b] for b in hits))
        kept, every = _white(rows), _white(find(free, settings).to_pylist())
        out[f"white {name}"] = tuple(
            x for group in (every, kept, every - kept) for x in (len(group), sum(wrong[at[b]] for b in group))
        )
    best = {row["box_id"]: row["suspicion"] for row in rows if row["box_id"] >= 0}
    top = sorted(best, key=lambda box: -best[box])[:budget]
    out["budget"] = (expected_errors(found, budget), sum(wrong[at[box]] for box in top))
    return out


def _white(rows: list[dict[str, Any]]) -> set[int]:
    """Boxes labelled as one of the white tablets that are flagged as mislabelled."""
    return {r["box_id"] for r in rows if r["flagged"] and r["issue"] == "mislabel" and r["class_id"] in WHITE}


def _without_abstaining(scores: pa.Table) -> pa.Table:
    """The same scores with nothing withheld."""
    place = scores.schema.get_field_index("withheld")
    return scores.set_column(place, "withheld", pa.nulls(len(scores), pa.string()))


def report(rows: list[dict[str, object]], args: argparse.Namespace) -> str:
    """The tables in Markdown."""
    lines = [
        "# What a flag means",
        "",
        f"`python -m benchmarks.flags --plantings {args.plantings} --fdr {args.fdr}"
        f" --encoders {args.encoders}`, {datetime.now(UTC):%Y-%m-%d}.",
        "",
        f"{args.data.parent.name}, hard setting of quality.md, seeds from 100 on, profiles in turn. False:",
        "flagged places that were not planted. False*: neither planted nor one of the two labels known to be",
        "wrong in the published set. Shares are means over plantings (0 where nothing is flagged) with 90 %",
        "bootstrap intervals.",
        "",
        "| flags | profile | plantings | flagged | of the errors | false | false* |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        groups[str(row["profile"])].append(row)
        groups["all"].append(row)
    for name, words in (("fdr", f"--fdr {args.fdr}"), ("default", "default thresholds")):
        for profile, own in groups.items():
            counts = np.array([row[name] for row in own], np.float64)
            recall = [c[1] / max(int(str(row["errors"])), 1) for c, row in zip(counts, own, strict=True)]
            cells = []
            for column in (1, 2):
                false = [float((c[0] - c[column]) / max(c[0], 1)) for c in counts]
                low, high = interval(false)
                cells.append(f"{np.mean(false):.3f} [{low:.3f}, {high:.3f}]")
            lines.append(
                f"| {words} | {profile} | {len(own)} | {counts[:, 0].mean():.1f} | {np.mean(recall):.2f} | "
                + " | ".join(cells)
                + " |"
            )
    budget = np.array([row["budget"] for row in rows])
    lines += [
        "",
        "## A budget",
        "",
        f"Among the {args.budget} most suspicious boxes {budget[:, 0].mean():.1f} errors are expected and "
        f"{budget[:, 1].mean():.1f} found (mean of {len(rows)} plantings; mean absolute difference "
        f"{np.abs(budget[:, 0] - budget[:, 1]).mean():.1f}).",
        "",
        "## Abstaining on look-alikes",
        "",
        "Flagged `mislabel` on the four round white tablets (classes "
        + ", ".join(str(c) for c in sorted(WHITE))
        + "), all plantings together; right: planted or known wrong. Withheld: flagged only without it.",
        "",
        "| flags | | flagged | right | precision |",
        "|---|---|---|---|---|",
    ]
    for name, words in (("fdr", f"--fdr {args.fdr}"), ("default", "default thresholds")):
        white = np.array([row[f"white {name}"] for row in rows]).sum(axis=0)
        for place, what in enumerate(("without abstaining", "with abstaining", "withheld")):
            flagged, right = white[2 * place : 2 * place + 2]
            precision = f"{right / flagged:.3f}" if flagged else "none"
            lines.append(f"| {words} | {what} | {flagged} | {right} | {precision} |")
    lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plantings", type=int, default=30)
    parser.add_argument("--fdr", type=float, default=0.1)
    parser.add_argument("--budget", type=int, default=50)
    parser.add_argument("--encoders", default="pill,imagenet")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--data", type=Path, default=Setting().data)
    parser.add_argument("--one-per-source", default=Setting().one_per_source)
    parser.add_argument("--groups", default=GROUPS)
    parser.add_argument("--profiles", default=",".join(QUEUES))
    args = parser.parse_args()
    setting = Setting(args.data, args.groups, args.one_per_source)
    profiles = args.profiles.split(",")
    parts = []
    with tempfile.TemporaryDirectory() as temporary:
        for encoder in args.encoders.split(","):
            rows = []
            for number in range(args.plantings):
                profile = profiles[number % len(profiles)]
                seed = FIRST_SEED + number
                work = Path(temporary) / encoder
                rows.append(judge(profile, seed, encoder, args.fdr, args.budget, work, setting))
                print(encoder, rows[-1], flush=True)
            text = report(rows, args)
            parts.append(text.replace("# What a flag means", f"# What a flag means: encoder {encoder}"))
    args.out.mkdir(parents=True, exist_ok=True)
    name = "flags.md" if args.data == Setting().data else f"flags-{args.data.parent.name}.md"
    (args.out / name).write_text("\n".join(parts), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
