"""Who decided what, and what stands after undoing: the verdict log in memory, by finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# box, photo, class, issue; the box is -1 for a finding about a whole photo, the class 0 for one about a box
Key = tuple[int, int, int, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict that was not undone."""

    seq: int
    at: str
    who: str
    key: Key
    verdict: str
    relabel_to: int | None


def key_of(box_id: int, image_id: int, class_id: int | None, issue: str) -> Key:
    """What a verdict is about. Two findings of one key (two lines missing one pill) are decided together."""
    return (box_id, image_id, 0 if box_id >= 0 else -1 if class_id is None else class_id, issue)


class Ledger:
    """The decisions of one log. The last one on a key counts."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        """`rows` of the table `verdicts` that are not undone, oldest first."""
        self._by_seq: dict[int, Decision] = {}
        self._by_key: dict[Key, list[int]] = {}
        for row in rows:
            key = key_of(row["box_id"], row["image_id"], row["class_id"], row["issue"])
            self.add(Decision(row["seq"], row["at"], row["who"], key, row["verdict"], row["relabel_to"]))

    def __len__(self) -> int:
        """How many keys are decided: a later verdict on a key takes the place of the one before."""
        return sum(1 for seqs in self._by_key.values() if seqs)

    def add(self, decision: Decision) -> None:
        """Take in a decision that was just written."""
        self._by_seq[decision.seq] = decision
        self._by_key.setdefault(decision.key, []).append(decision.seq)

    def take_back(self, seq: int) -> Key:
        """Forget decision `seq`; what it was about comes back."""
        key = self._by_seq.pop(seq).key
        self._by_key[key].remove(seq)
        return key

    def current(self, key: Key) -> Decision | None:
        """The last word on this key."""
        seqs = self._by_key.get(key)
        return self._by_seq[seqs[-1]] if seqs else None

    def last_of(self, who: str) -> Decision | None:
        """The youngest decision of this person."""
        return next((d for d in reversed(self._by_seq.values()) if d.who == who), None)

    def get(self, seq: int) -> Decision | None:
        """Decision `seq`, if it stands."""
        return self._by_seq.get(seq)

    def standing(self) -> Iterable[Decision]:
        """The last word on every key."""
        return (self._by_seq[seqs[-1]] for seqs in self._by_key.values() if seqs)
