"""The verdict log in memory: the last word on a finding counts, and undoing brings back the one before."""

from healtheat.index.verdicts.log import Verdict
from healtheat.view.ledger import Ledger, key_of


def said(seq: int, verdict: str, who: str = "a") -> Verdict:
    return Verdict(seq, "2026-01-01T00:00:00.000+00:00", who, "k", "a.png", 0, 3, "mislabel", verdict)


def test_the_last_word_counts_and_undoing_brings_back_the_one_before() -> None:
    ledger = Ledger()
    one, two = key_of(5, 1, 3, "mislabel"), key_of(6, 1, 3, "mislabel")
    for key, verdict in ((one, said(1, "ok")), (two, said(2, "drop", "b")), (one, said(3, "drop"))):
        ledger.add(key, verdict)
    assert len(ledger) == 2
    assert ledger.current(one) == said(3, "drop")
    assert ledger.last_of("a") == (one, said(3, "drop")) and ledger.last_of("c") is None
    ledger.take_back(3)
    assert ledger.current(one) == said(1, "ok") and ledger.get(3) is None
    ledger.take_back(1)
    assert ledger.current(one) is None and len(ledger) == 1
    assert list(ledger.standing()) == [(two, said(2, "drop", "b"))]


def test_a_class_tells_findings_about_an_image_apart_but_not_those_about_a_box() -> None:
    assert key_of(5, 1, 3, "mislabel") == key_of(5, 1, 4, "mislabel")
    assert key_of(-1, 1, 3, "missing_box") != key_of(-1, 1, 4, "missing_box")
    assert key_of(-1, 1, None, "duplicate") == key_of(-1, 1, -1, "duplicate")
