from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from healtheat.core.validation import what_is_wrong


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")

    whole: int = 0
    share: Annotated[float, Field(ge=0, le=1)] = 0
    above: Annotated[float, Field(gt=2)] = 3
    way: Literal["up", "down"] = "up"
    text: str = ""
    many: list[int] = []

    @field_validator("text")
    @classmethod
    def _no_x(cls, text: str) -> str:
        if "x" in text:
            raise ValueError("no x is allowed.")
        return text


@pytest.mark.parametrize(
    ("given", "where", "what"),
    [
        ({"whole": "abc"}, "whole", "expected a whole number, found 'abc'"),
        ({"whole": 1.5}, "whole", "expected a whole number, found 1.5"),
        ({"share": "abc"}, "share", "expected a number, found 'abc'"),
        ({"share": -1}, "share", "expected at least 0, found -1"),
        ({"share": 1.5}, "share", "expected at most 1, found 1.5"),
        ({"above": 2}, "above", "expected more than 2, found 2"),
        ({"way": "left"}, "way", "expected 'up' or 'down', found 'left'"),
        ({"text": "x"}, "text", "no x is allowed"),
        ({"text": 3}, "text", "expected text, found 3"),
        ({"many": [1, "b"]}, "many.1", "expected a whole number, found 'b'"),
        ({"other": 3}, "other", "is not known"),
        ({"whole": "a" * 99}, "whole", "expected a whole number, found '" + "a" * 58 + "…"),
    ],
)
def test_it_is_said_in_our_words(given: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(ValidationError) as error:
        Model.model_validate(given)
    assert what_is_wrong(error.value) == (where, what)


def test_a_field_that_is_missing() -> None:
    class Needs(BaseModel):
        name: str

    with pytest.raises(ValidationError) as error:
        Needs.model_validate({})
    assert what_is_wrong(error.value) == ("name", "is missing")
