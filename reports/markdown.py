"""A document as Markdown: the same sections, tables and figures, for a code host or a terminal."""

from __future__ import annotations

import re

from reports import document as doc

_MARK = {"better": "+", "worse": "−", "even": "=", "open": "?"}


def _escape(text):
    """Record text must not become markup; the two marks of a document are already Markdown's own."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([_\[\]])", r"\\\1", p.replace("<", "&lt;")) for p in parts)


def _cell(cell):
    text = _escape(cell.text).replace("|", "\\|")
    return "**%s**" % text if cell.tone == "best" and text else text


def table(one):
    """Only the pipe table, without caption; the README uses it too."""
    head = [_escape(c.title) + (" (%s)" % c.unit if c.unit else "") for c in one.columns]
    lines = [
        "| %s |" % " | ".join(h or " " for h in head),
        "|%s|" % "|".join("---:" if c.numeric else "---" for c in one.columns),
    ]
    return lines + ["| %s |" % " | ".join(_cell(cell) for cell in row) for row in one.rows]


def block(one):
    if isinstance(one, doc.Text):
        return [_escape(one.text)]
    if isinstance(one, doc.Bullets):
        return ["- %s" % _escape(item) for item in one.items]
    if isinstance(one, doc.Code):
        return ["```sh", one.text, "```"]
    if isinstance(one, doc.Verdict):
        return ["- (%s) %s" % (_MARK[one.outcome], _escape(one.text))]
    if isinstance(one, doc.Banner):
        return ["> **%s**" % one.title, ">"] + ["> - %s" % _escape(item) for item in one.items]
    if isinstance(one, doc.Table):
        return table(one) + ["", "%s [CSV](tables/%s.csv)" % (_escape(one.caption), one.name)]
    if isinstance(one, doc.Figure):
        lines = [
            "### %s" % _escape(one.title),
            "",
            "![%s](plots/%s.svg)" % (_escape(one.title), one.name),
            "",
            "%s [CSV](plots/%s.csv)" % (_escape(one.caption), one.name),
        ]
        return lines + (["", "```sh", one.command, "```"] if one.command else [])
    raise TypeError("no Markdown for %r" % type(one))


def text(document):
    """The whole document."""
    lines = ["# %s" % _escape(document.title), "", _escape(document.subtitle), ""]
    for section in document.sections:
        if section.title:
            lines += ["## %s" % _escape(section.title), ""]
        previous = None
        for one in section.blocks:
            if isinstance(one, doc.Verdict) and isinstance(previous, doc.Verdict):
                lines.pop()  # verdicts are one list
            lines += block(one) + [""]
            previous = one
    return "\n".join(lines).rstrip("\n") + "\n"
