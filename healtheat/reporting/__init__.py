"""One HTML file that tells a colleague what was found: no script, no second file, no network."""

from healtheat.reporting.facts import ReportFacts, collect
from healtheat.reporting.page import DEFAULT_LIMIT_BYTES, write_report

__all__ = ["DEFAULT_LIMIT_BYTES", "ReportFacts", "collect", "write_report"]
