"""A document as one self-contained page: no request leaves it, it opens from a file, prints, and reads in the dark."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path

from reports import document as doc

INLINE_LIMIT = 48_000  # bytes of CSV that a page carries itself; larger ones stand beside it only
LONG = 30  # characters; a longer cell may be broken into lines, best after a slash
TALL = 60  # rows; a longer table scrolls in a box of its own
_HERE = Path(__file__).resolve().parent


def inline(text):
    """Escaped text with its two marks, `code` and **strong**."""
    out = escape(text, quote=False)
    out = re.sub(r"`([^`]*)`", r"<code>\1</code>", out)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", out)


def _breakable(text):
    """`inline` text that may go on in a new line after a slash."""
    return re.sub(r"(?<!<)/", "/<wbr>", inline(text))


def _csv_link(folder, name, data):
    text = data.text().encode("utf-8")
    path = "%s/%s.csv" % (folder, name)
    if len(text) > INLINE_LIMIT:
        return '<a href="%s">CSV beside this page</a>' % escape(path)
    coded = base64.b64encode(text).decode("ascii")
    return '<a download="%s.csv" href="data:text/csv;charset=utf-8;base64,%s">CSV</a>' % (escape(name), coded)


def _value(cell):
    if cell.value is None:
        return ""
    if isinstance(cell.value, bool):
        return ' data-v="%d"' % cell.value
    if isinstance(cell.value, (int, float)):
        return ' data-v="%r"' % cell.value
    return ' data-v="%s"' % escape(str(cell.value))


def _table(table):
    numeric = [column.numeric for column in table.columns]
    head = "".join(
        '<th scope="col"%s><button type="button">%s%s</button></th>'
        % (
            ' class="n"' if column.numeric else "",
            inline(column.title),
            ' <span class="unit">%s</span>' % inline(column.unit) if column.unit else "",
        )
        for column in table.columns
    )
    body = []
    for row in table.rows:
        cells = []
        for is_number, cell in zip(numeric, row):
            long = "long" if len(cell.text) > LONG and not is_number else ""
            classes = " ".join(c for c in ("n" if is_number else "", long, cell.tone) if c)
            cells.append(
                "<td%s%s>%s</td>"
                % (
                    ' class="%s"' % classes if classes else "",
                    _value(cell),
                    (_breakable if long else inline)(cell.text),
                )
            )
        body.append("<tr>%s</tr>" % "".join(cells))
    kind = " matrix" if table.name.endswith("-pairs") else ""
    parts = (
        escape(table.name),
        " tall" if len(table.rows) > TALL else "",
        kind,
        head,
        "\n".join(body),
        inline(table.caption),
        _csv_link("tables", table.name, table.data),
    )
    return (
        '<figure class="table" id="table-%s"><div class="scroll%s" tabindex="0"><table class="sortable%s"><thead><tr>%s'
        "</tr></thead><tbody>\n%s\n</tbody></table></div><figcaption>%s %s</figcaption></figure>"
    ) % parts


def _figure(figure):
    command = ""
    if figure.command:
        command = "<details><summary>Command</summary><pre>%s</pre></details>" % escape(figure.command)
    svg = figure.svg.replace("<svg ", '<svg aria-label="%s" ' % escape(figure.title.replace("**", "")), 1)
    parts = (
        escape(figure.name),
        inline(figure.title),
        svg,
        inline(figure.caption),
        _csv_link("plots", figure.name, figure.data),
        command,
    )
    return (
        '<figure class="plot" id="plot-%s"><h3>%s</h3><div class="scroll" tabindex="0">%s</div>'
        "<figcaption>%s %s%s</figcaption></figure>"
    ) % parts


def block(one):
    if isinstance(one, doc.Text):
        return "<p>%s</p>" % inline(one.text)
    if isinstance(one, doc.Bullets):
        return "<ul>%s</ul>" % "".join("<li>%s</li>" % inline(item) for item in one.items)
    if isinstance(one, doc.Code):
        return "<pre>%s</pre>" % escape(one.text)
    if isinstance(one, doc.Verdict):
        return '<p class="verdict %s">%s</p>' % (one.outcome, inline(one.text))
    if isinstance(one, doc.Banner):
        return '<div class="banner %s" role="note"><strong>%s</strong><ul>%s</ul></div>' % (
            one.level,
            inline(one.title),
            "".join("<li>%s</li>" % inline(item) for item in one.items),
        )
    if isinstance(one, doc.Table):
        return _table(one)
    if isinstance(one, doc.Figure):
        return _figure(one)
    raise TypeError("no HTML for %r" % type(one))


def page(document):
    """The whole page as text."""
    style = (_HERE / "page.css").read_text(encoding="utf-8").strip()
    script = (_HERE / "page.js").read_text(encoding="utf-8").strip()
    links = "".join(
        '<li><a href="#%s">%s</a></li>' % (escape(s.anchor), inline(s.title)) for s in document.sections if s.title
    )
    sections = []
    for section in document.sections:
        body = "\n".join(block(one) for one in section.blocks)
        heading = "<h2>%s</h2>\n" % inline(section.title) if section.title else ""
        sections.append('<section id="%s">\n%s%s\n</section>' % (escape(section.anchor), heading, body))
    return """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s</title>
<link rel="icon" href="data:,">
<style>
%s
</style>
</head>
<body>
<header><h1>%s</h1><p>%s</p></header>
<nav aria-label="Contents"><ul>%s</ul></nav>
<main>
%s
</main>
<script>
%s
</script>
</body>
</html>
""" % (
        escape(document.title),
        style,
        inline(document.title),
        inline(document.subtitle),
        links,
        "\n".join(sections),
        script,
    )
