"""How findings are flagged, from what a user names."""

from typing import Any

import pytest

from healtheat.core.errors import InputError
from healtheat.findings.choose import finding_settings
from healtheat.findings.flag import THRESHOLDS


@pytest.mark.parametrize("given", [{"mislabel": 0.8}, ["mislabel=0.8"], "mislabel=0.8", {"mislabel": "0.8"}])
def test_a_threshold_changes_its_issue_alone(given: Any) -> None:
    assert finding_settings(given).thresholds == {**THRESHOLDS, "mislabel": 0.8}


def test_without_anything_the_defaults_apply() -> None:
    settings = finding_settings()
    assert (settings.thresholds, settings.fdr, settings.budget) == (dict(THRESHOLDS), None, None)
    assert finding_settings(fdr=0.1, budget=3).budget == 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"threshold": {"nothing": 0.5}}, "no such issue"),
        ({"threshold": ["mislabel=2"]}, "a number from 0 to 1"),
        ({"threshold": ["mislabel"]}, "a number from 0 to 1"),
        ({"threshold": ["mislabel=nan"]}, "a number from 0 to 1"),
        ({"fdr": 0}, "between 0 and 1"),
        ({"fdr": float("nan")}, "between 0 and 1"),
        ({"fdr": 0.1, "threshold": {"mislabel": 0.5}}, "leave out threshold or fdr"),
        ({"budget": -1}, "0 or more"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        finding_settings(**given)
