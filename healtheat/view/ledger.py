"""Who decided what, and what stands after undoing: the verdict log in memory, by finding."""

from __future__ import annotations

from collections.abc import Iterable

from healtheat.index.verdicts.log import Verdict

# box, image, class, issue; the box is -1 for a finding about a whole image, the class 0 for one about a box
Key = tuple[int, int, int, str]


def key_of(box_id: int, image_id: int, class_id: int | None, issue: str) -> Key:
    """What a verdict is about. Two findings of one key (two lines missing one pill) are decided together."""
    return (box_id, image_id, 0 if box_id >= 0 else -1 if class_id is None else class_id, issue)


class Ledger:
    """The verdicts of one log that were not undone, each under the ids it has in this index. The last one on
    a key counts.
    """

    def __init__(self) -> None:
        self._by_seq: dict[int, tuple[Key, Verdict]] = {}
        self._by_key: dict[Key, list[int]] = {}

    def __len__(self) -> int:
        """How many keys are decided: a later verdict on a key takes the place of the one before."""
        return sum(1 for seqs in self._by_key.values() if seqs)

    def add(self, key: Key, verdict: Verdict) -> None:
        """Take in a verdict; later ones after earlier ones."""
        self._by_seq[verdict.seq] = key, verdict
        self._by_key.setdefault(key, []).append(verdict.seq)

    def take_back(self, seq: int) -> None:
        """Forget verdict `seq`; what was decided on its key before comes back."""
        key, _ = self._by_seq.pop(seq)
        self._by_key[key].remove(seq)

    def current(self, key: Key) -> Verdict | None:
        """The last word on this key."""
        seqs = self._by_key.get(key)
        return self._by_seq[seqs[-1]][1] if seqs else None

    def last_of(self, who: str) -> tuple[Key, Verdict] | None:
        """The youngest verdict of this person, and what it is about."""
        return next((found for found in reversed(self._by_seq.values()) if found[1].who == who), None)

    def get(self, seq: int) -> tuple[Key, Verdict] | None:
        """Verdict `seq`, if it stands, and what it is about."""
        return self._by_seq.get(seq)

    def standing(self) -> Iterable[tuple[Key, Verdict]]:
        """The last word on every key."""
        return (self._by_seq[seqs[-1]] for seqs in self._by_key.values() if seqs)
