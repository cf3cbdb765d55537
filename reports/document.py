"""What a report consists of, before it is HTML or Markdown: sections of text, banners, tables and figures.

Text is plain with two marks: `code` and **strong**. Text that comes from a record goes through `plain` first.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field

from reports import format as fmt


def plain(text):
    """Text of a record, without anything that would be read as a mark."""
    return str(text).replace("`", "'").replace("**", "* *").replace("\n", " ").replace("\r", " ")


@dataclass
class Cell:
    """One table cell: what is shown, what it is sorted by (None: by the text), and a tone."""

    text: str
    value: object = None
    tone: str = ""  # best, good, bad, faint, or empty


@dataclass
class Column:
    title: str
    numeric: bool = False
    unit: str = ""


@dataclass
class Data:
    """The numbers of a table or plot, in full precision, as they go into a CSV file."""

    header: list
    rows: list

    def text(self):
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.header)
        for row in self.rows:
            writer.writerow([_number(value) for value in row])
        return stream.getvalue()


def _number(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return repr(round(value, 12)) if abs(value) < 1e3 and abs(value) > 1e-3 else "%.9g" % value
    return str(value)


@dataclass
class Text:
    text: str
    tone: str = ""  # caption, or empty


@dataclass
class Bullets:
    items: list
    ordered: bool = False


@dataclass
class Code:
    text: str


@dataclass
class Verdict:
    """One sentence and how it came out: better, worse, even (equivalent) or open (not resolved)."""

    text: str
    outcome: str


@dataclass
class Banner:
    level: str  # "broken" or "caution"
    title: str
    items: list


@dataclass
class Table:
    name: str
    caption: str
    columns: list
    rows: list  # lists of Cell
    data: Data
    sorted_by: int = -1


@dataclass
class Figure:
    name: str
    title: str
    caption: str
    svg: str
    data: Data
    command: str


@dataclass
class Section:
    title: str
    blocks: list = field(default_factory=list)
    level: int = 2

    @property
    def anchor(self):
        return fmt.slug(self.title)


@dataclass
class Document:
    title: str
    subtitle: str
    sections: list
    broken: bool = False

    def blocks(self, kind):
        return [block for section in self.sections for block in section.blocks if isinstance(block, kind)]
