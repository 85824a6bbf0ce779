"""Is a flag worth its look? Flagged places beside planted errors, and on sets as they were published.

    python -m benchmarks.places [--shared FOLDER] [--seeds 0,1,2] [--profiles …] [--sets …] [--work FOLDER]
        [--out FOLDER]

Everything runs with the defaults: `build`, then `query --all`. A place is one box, or one image for what is
missing on it, as in the benchmark protocol. Planted: pushin-pill in the hard setting of quality.py.
Published: whole sets, of which mahjong, jordan-coins and bccd have a list of known errors; flags on other
boxes count as false here although some of them may be right. Writes places.md and places.csv (every flagged
place of the published sets, to be looked at).
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.quality import HERE, QUEUES, SHARED, figures, plant, rankings, truth
from healtheat import api
from healtheat.index import Index
from healtheat.signals import samples_from

PUBLISHED = ("pushin-pill", "mahjong", "jordan-coins", "bccd")
BY_IMAGE = ("jordan-coins",)  # the list of errors says which images are wrong, not which boxes
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Flagged places of one set; `rows` are flagged rows of `query --all`."""

    boxes: int
    errors: int
    flagged: int
    right: int
    rows: int
    issues: Counter[str] = field(default_factory=Counter)
    encoder: str = ""
    places: tuple[tuple[Place, str, float, bool, str], ...] = ()

    @property
    def precision(self) -> float:
        return self.right / max(self.flagged, 1)

    @property
    def found(self) -> float:
        return self.right / max(self.errors, 1)

    @property
    def alarms(self) -> float:
        """Share of the right boxes that is flagged."""
        return (self.flagged - self.right) / max(self.boxes - self.errors, 1)


def known_errors(folder: Path) -> tuple[set[Place], set[str]]:
    """(wrong boxes, images that miss a box) of truth.csv; nothing where there is none."""
    file = folder / "truth.csv"
    if not file.is_file():
        return set(), set()
    with file.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    boxes = {(row["image"], int(row["line"])) for row in rows if row["line"] != "-1"}
    return boxes, {row["image"] for row in rows if row["line"] == "-1"}


def outcome(data: Path, index: Path, *, by_image: bool = False) -> Outcome:
    """Build `index` of `data` (its data.yaml) and compare what is flagged with what is known to be wrong."""
    api.build(data, index=index)
    rows = api.query(index, all_=True).to_pylist()
    wrong, missing = known_errors(data.parent)
    wrong_images = {image for image, _ in wrong} if by_image else set()
    flagged: dict[Place, tuple[str, float, bool, str]] = {}
    issues: Counter[str] = Counter()
    count = 0
    for row in rows:
        if not row["flagged"] or row["signal"] == "unreadable":
            continue
        count += 1
        place = (row["image"], -1 if row["line"] is None else row["line"])
        right = place in wrong or place[0] in wrong_images or (place[1] < 0 and place[0] in missing)
        flagged[place] = (row["issue"], row["score"], right, row["reason"])
        issues[row["issue"]] += 1
    with Index.open(index, verify=False) as opened:
        boxes, encoder = opened.manifest.counts.boxes, str(opened.manifest.encoder["name"])
    return Outcome(
        boxes=boxes,
        errors=len(wrong_images or wrong),
        flagged=len(flagged),
        right=sum(right for _, _, right, _ in flagged.values()),
        rows=count,
        issues=issues,
        encoder=encoder,
        places=tuple((place, *about) for place, about in sorted(flagged.items())),
    )


def average_precision(index: Path, folder: Path, profile: str) -> tuple[float, float]:
    """(of the profile's own queue, of the one ranking over all issues)."""
    with Index.open(index, verify=False) as opened:
        samples = samples_from(opened)
        errors, known = truth(samples, folder)
        own, every = (next(iter(rankings(opened, samples, p).values())) for p in (profile, "mixed"))
    return figures(own, errors, known)["ap"], figures(every, errors, known)["ap"]


def planted_table(profiles: list[str], seeds: list[int], work: Path) -> list[str]:
    """Rows of the table of planted errors, means over the seeds."""
    lines = [
        "| profile | seeds | errors | flagged places | right | precision | found | rows a place | "
        "AP own queue | AP all issues |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for profile in profiles:
        found, aps = [], []
        for seed in seeds:
            folder = plant(profile, seed, work / f"{profile}-{seed}")
            index = work / "index"  # built again and again: only what is new is embedded
            found.append(outcome(folder / "data.yaml", index))
            aps.append(average_precision(index, folder, profile))
            print(profile, seed, summary(found[-1]), f"AP {aps[-1][0]:.3f} all {aps[-1][1]:.3f}", flush=True)
        n = len(found)
        sums = [sum(getattr(o, name) for o in found) for name in ("errors", "flagged", "right", "rows")]
        own, every = (sum(ap[k] for ap in aps) / n for k in (0, 1))
        lines.append(
            f"| {profile} | {', '.join(map(str, seeds))} | {sums[0]} | {sums[1]} | {sums[2]} | "
            f"{sums[2] / max(sums[1], 1):.3f} | {sums[2] / max(sums[0], 1):.3f} | "
            f"{sums[3] / max(sums[1], 1):.2f} | {own:.3f} | {every:.3f} |"
        )
    return lines


def published_table(sets: list[str], data: Path, work: Path) -> tuple[list[str], list[list[object]]]:
    """Rows of the table of whole sets, and every flagged place."""
    lines = [
        "| set | encoder | boxes | known errors | flagged places | right | of the right boxes | "
        "rows a place | by issue |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    listed: list[list[object]] = []
    for name in sets:
        o = outcome(data / name / "data.yaml", work / f"index-{name}", by_image=name in BY_IMAGE)
        print(name, summary(o), dict(o.issues), flush=True)
        by = ", ".join(f"{issue} {n}" for issue, n in o.issues.most_common()) or "none"
        errors = f"{o.errors} images" if name in BY_IMAGE else str(o.errors)
        lines.append(
            f"| {name} | {o.encoder} | {o.boxes} | {errors} | {o.flagged} | {o.right} | {o.alarms:.2%} | "
            f"{o.rows / max(o.flagged, 1):.2f} | {by} |"
        )
        listed += [[name, *place, *about] for place, *about in o.places]
    return lines, listed


def summary(o: Outcome) -> str:
    """One line."""
    return (
        f"{o.flagged} flagged of {o.boxes} boxes, {o.right} right, precision {o.precision:.3f}, "
        f"found {o.right}/{o.errors}, alarms {o.alarms:.2%}, rows {o.rows}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--profiles", default=",".join(QUEUES))
    parser.add_argument("--sets", default=",".join(PUBLISHED))
    parser.add_argument("--work", type=Path, help="keep the indexes here (default: a temporary folder)")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        profiles = [p for p in args.profiles.split(",") if p]
        planted = planted_table(profiles, seeds, work) if profiles else []
        sets = [s for s in args.sets.split(",") if s]
        published, listed = published_table(sets, args.shared / "data", work)
    text = [
        "# Is a flag worth its look?",
        "",
        f"`python -m benchmarks.places --seeds {args.seeds}`, {datetime.now(UTC):%Y-%m-%d}; the defaults of",
        "`build`. A place is one box, or one image for what is missing on it.",
        "",
        "## Planted errors",
        "",
        "pushin-pill (CC BY 4.0), one image a source, 8 % of the boxes wrong; sums over the seeds, AP:",
        "means. Two labels of the published set that are plainly wrong count as false alarms.",
        "",
        *planted,
        "",
        "## Sets as published",
        "",
        "pushin-pill (CC BY 4.0), mahjong (MIT), jordan-coins (CC BY 4.0), bccd (MIT). Known errors are not",
        "all errors: a flag on a box that nobody has looked at counts as false here.",
        "",
        *published,
        "",
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "places.md").write_text("\n".join(text), encoding="utf-8", newline="\n")
    with (args.out / "places.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["set", "image", "line", "issue", "score", "right", "reason"])
        writer.writerows(listed)


if __name__ == "__main__":
    main()
