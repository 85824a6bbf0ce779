"""A batch as a whole: names that differ, a collapse, and what is none."""

import pytest

from healtheat.core.errors import InputError
from healtheat.vetting.whole import check_names, check_shares

INDEX = dict.fromkeys(range(10), 30)
NAMES = {c: f"drug {c}" for c in INDEX}


def test_names_that_disagree(tmp_path):
    with pytest.raises(InputError, match="class 1 is b in the batch and a in"):
        check_names({1: "b"}, {1: "a"}, tmp_path)
    check_names({1: "a", 2: "new", 3: "3"}, {1: "a", 3: "c", 4: "d"}, tmp_path)


def test_a_collapsed_batch():
    sink = [0] * 120 + [1, 2, 3, 4, 5] * 4
    (check,) = check_shares(sink, INDEX, NAMES)
    assert check.failed and "drug 0" in check.text and check.measured > 0.5


@pytest.mark.parametrize(
    "class_id",
    [
        [0] * 140,  # one product alone
        [0] * 60 + [1] * 60,  # two of them
        list(range(10)) * 14,
        [0] * 70 + list(range(1, 10)) * 8,  # half of it one product: a common one
        [0] * 10,  # too few to say
    ],
)
def test_honest_batches(class_id):
    assert check_shares(class_id, INDEX, NAMES) == ()
