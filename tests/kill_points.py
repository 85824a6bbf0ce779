"""At which steps of a run it is killed: evenly over all of them, the first and the last included."""

import os

COUNT = int(os.environ.get("HEALTHEAT_KILL_POINTS", "7"))


def kill_points(steps: int, count: int = COUNT) -> list[int]:
    """`count` steps from 1 to `steps`, in order."""
    return sorted({1 + round(n * (steps - 1) / (count - 1)) for n in range(count)})
