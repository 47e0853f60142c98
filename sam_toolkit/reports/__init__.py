"""Built-in reporters."""

from sam_toolkit.reports.html import HtmlReport
from sam_toolkit.reports.tables import CsvReport

__all__ = ["CsvReport", "HtmlReport"]
