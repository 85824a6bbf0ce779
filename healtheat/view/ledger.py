"""Who decided what, and what stands after undoing: the verdict log in memory, by finding."""

from __future__ import annotations

from collections.abc import Iterable

from healtheat.core.verdicts import SETTLES
from healtheat.index.verdicts.log import Verdict

# box, image, class, issue; the box is -1 for a finding about an image, the class 0 for one about a box; for
# one about a spot of the image the number of the spot (see index/verdicts/spots.py) stands for the class
Key = tuple[int, int, int, str]


def key_of(box_id: int, image_id: int, class_id: int | None, issue: str) -> Key:
    """What a verdict is about. Two findings of one key (two lines missing one pill) are decided together."""
    return (box_id, image_id, 0 if box_id >= 0 else -1 if class_id is None else class_id, issue)


class Ledger:
    """The verdicts of one log that were not undone, each under the ids it has in this index. The last one on
    a key counts. Lines one behind the other of one person at one time are one decision.
    """

    def __init__(self) -> None:
        self._by_seq: dict[int, tuple[Key, Verdict]] = {}
        self._by_key: dict[Key, list[int]] = {}
        self._of_box: dict[int, set[Key]] = {}
        self._decision: dict[int, int] = {}  # seq → the first seq of its decision
        self._lines: dict[int, list[int]] = {}  # first seq of a decision → all of it

    def __len__(self) -> int:
        """How many keys are decided: a later verdict on a key takes the place of the one before."""
        return sum(1 for seqs in self._by_key.values() if seqs)

    def add(self, key: Key, verdict: Verdict) -> None:
        """Take in a verdict; later ones after earlier ones."""
        before = self._by_seq.get(verdict.seq - 1)
        same = before is not None and (before[1].at, before[1].who) == (verdict.at, verdict.who)
        decision = self._decision[verdict.seq - 1] if same else verdict.seq
        self._decision[verdict.seq] = decision
        self._lines.setdefault(decision, []).append(verdict.seq)
        self._by_seq[verdict.seq] = key, verdict
        self._by_key.setdefault(key, []).append(verdict.seq)
        if key[0] >= 0:
            self._of_box.setdefault(key[0], set()).add(key)

    def take_back(self, seq: int) -> None:
        """Forget verdict `seq`; what was decided on its key before comes back."""
        key, _ = self._by_seq.pop(seq)
        self._by_key[key].remove(seq)
        self._lines[self._decision.pop(seq)].remove(seq)

    def current(self, key: Key) -> Verdict | None:
        """The last word on this key."""
        seqs = self._by_key.get(key)
        return self._by_seq[seqs[-1]][1] if seqs else None

    def settled(self, box_id: int) -> Verdict | None:
        """The verdict that settles this box, the youngest of those on its findings; None for no box."""
        words = (self.current(key) for key in self._of_box.get(box_id, ()))
        settling = [word for word in words if word is not None and word.verdict in SETTLES]
        return max(settling, key=lambda word: word.seq, default=None)

    def decision(self, seq: int) -> int:
        """The number of the decision that verdict `seq` is a line of: the `seq` of its first line."""
        return self._decision[seq]

    def lines(self, seq: int) -> list[tuple[Key, Verdict]]:
        """All lines that stand of the decision that verdict `seq` is a line of, and what they are about."""
        return [self._by_seq[one] for one in self._lines[self._decision[seq]]]

    def last_of(self, who: str) -> tuple[Key, Verdict] | None:
        """The youngest verdict of this person, and what it is about."""
        return next((found for found in reversed(self._by_seq.values()) if found[1].who == who), None)

    def get(self, seq: int) -> tuple[Key, Verdict] | None:
        """Verdict `seq`, if it stands, and what it is about."""
        return self._by_seq.get(seq)

    def standing(self) -> Iterable[tuple[Key, Verdict]]:
        """The last word on every key."""
        return (self._by_seq[seqs[-1]] for seqs in self._by_key.values() if seqs)

    def boxes(self) -> Iterable[tuple[int, Verdict]]:
        """Every box that is settled, and by which verdict."""
        for box_id in self._of_box:
            word = self.settled(box_id)
            if word is not None:
                yield box_id, word
