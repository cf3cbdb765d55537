"""The results of the README, made from the published records:  python3 reports/readme_table.py [--check]

Rewrites the text between the two markers in README.md and writes reports/published/<name>.svg. With --check nothing is
written: exit 1 if README.md or the plot is not what the records give. Exit codes: 0, 1, 2 wrong use, 4 no or bad
records.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":  # see render.py
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "reports" / "published"
BEGIN, END = "<!-- results: begin, written by reports/readme_table.py -->", "<!-- results: end -->"
MOST_ROWS = 12


def chosen(boards, record_set):
    """The board to show: full data before embedded, ranked before unranked, with times before without, then most test
    items."""
    from reports import analysis

    def key(board):
        embedded = any(d["embedded"] for r in board.records for d in r.get("data", ()))
        return (embedded, not board.ranked, not analysis.costs(record_set, board), -board.items, board.title)

    return min(boards, key=key)


def made(folder=PUBLISHED):
    """(Markdown between the markers, {file name: SVG}) from the records in `folder`."""
    from reports import analysis, context, document, figures, markdown, quality, records
    from reports import format as fmt

    record_set = records.load([folder])
    boards = analysis.boards(record_set)
    names = context.machine_names(record_set)
    if not boards:
        raise records.RecordError(["%s: holds no finished quality record" % folder])
    dirty = [r["case"] for r in record_set.records if r["provenance"]["git_dirty"]]
    if dirty:
        raise records.RecordError(
            ["%s: %d records of uncommitted code, such as %s: run again from a clean checkout" % (folder, len(dirty), dirty[0])]
        )
    board = chosen(boards, record_set)
    section = quality.section(record_set, board, names, len({b.machine for b in boards}) > 1)
    table = next(b for b in section.blocks if isinstance(b, document.Table))
    plots = [b for b in section.blocks if isinstance(b, document.Figure)]
    plot = next((b for b in plots if b.name.endswith("-pareto")), plots[0])
    whole = len(table.rows)
    table.rows = table.rows[:MOST_ROWS]
    one = board.records[0]["protocol"]
    lines = [
        "**%s** (%s): %s, %s %s that are never split, %s repetitions."
        % (
            document.plain(board.title),
            document.plain(one["task"]),
            fmt.plural(len(board.arms), "arm"),
            board.units,
            document.plain(one["split_unit"] + "s"),
            max(len(a.repetitions) for a in board.arms.values()),
        ),
        "",
    ]
    lines += markdown.table(table)
    if whole > MOST_ROWS:
        lines += ["", "The best %d of %d arms." % (MOST_ROWS, whole)]
    lines += [
        "",
        "%s" % table.caption,
        "",
        "![%s](reports/published/%s.svg)" % (plot.title, plot.name),
        "",
        plot.caption,
    ]
    notes = [document.plain(n) for n in one.get("notes", ())]
    if notes:
        lines += ["", "Known limits: %s." % "; ".join(n.rstrip(".") for n in notes)]
    lines += [
        "",
        "Measured on %s with hocket %s."
        % (
            names[board.machine],
            fmt.listing(sorted({document.plain(r["provenance"]["version"]) for r in board.records})),
        ),
    ]
    return "\n".join(lines), {plot.name + ".svg": figures.standalone(plot.svg)}


def replaced(text, block):
    """README text with `block` between its markers; ValueError if the markers are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError("README.md needs the two lines\n%s\n%s\nonce and in this order" % (BEGIN, END))
    return text[: text.index(BEGIN)] + BEGIN + "\n" + block + "\n" + text[text.index(END) :]


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(
        prog="readme_table.py", description="Writes the README's results from the published records."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if something is out of date")
    options = parser.parse_args(arguments)
    from reports import records

    folder, readme = root / "reports" / "published", root / "README.md"
    try:
        block, plots = made(folder)
        text = readme.read_text(encoding="utf-8")
        wanted = replaced(text, block)
    except (records.RecordError, OSError, ValueError) as error:
        print("readme_table.py: %s" % error, file=sys.stderr)
        return 4
    files = {readme: wanted, **{folder / name: svg for name, svg in plots.items()}}
    old = [path for path, content in files.items() if not path.exists() or path.read_text(encoding="utf-8") != content]
    for path in old:
        if options.check:
            print(
                "%s is not what the published records give; run python3 reports/readme_table.py" % path.name,
                file=sys.stderr,
            )
        else:
            path.write_bytes(files[path].encode("utf-8"))
            print(path)
    return 1 if options.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
