"""What the image's name says: rules, class maps and the comparison with the boxes."""

from healtheat.listing.check import COLUMNS, ContentsReport, Listing, check, detect, listing
from healtheat.listing.choice import ChosenRule
from healtheat.listing.classes import ClassMap, class_map, read_classes
from healtheat.listing.match import Mismatch, compare, reason
from healtheat.listing.rule import AIHUB, PatternRule, Rule, TableRule, open_rule
from healtheat.listing.run import contents

__all__ = [
    "AIHUB",
    "COLUMNS",
    "ChosenRule",
    "ClassMap",
    "ContentsReport",
    "Listing",
    "Mismatch",
    "PatternRule",
    "Rule",
    "TableRule",
    "check",
    "class_map",
    "compare",
    "contents",
    "detect",
    "listing",
    "open_rule",
    "read_classes",
    "reason",
]
