"""Records in, report out:  python3 reports/render.py --results DIR [MORE...] --out DIR [--title TEXT] [--allow-dirty]

Writes OUT/index.html (self-contained), OUT/report.md, OUT/plots/*.svg and *.csv, OUT/tables/*.csv. The bytes depend on
the records alone. Exit codes: 0 written, 2 wrong use, 3 written but a trust rule is broken, 4 records missing or
unreadable.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a script: import this folder as a package, not its files as top-level modules
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

EXIT_OK, EXIT_USAGE, EXIT_TRUST, EXIT_DATA = 0, 2, 3, 4


def build(record_set, title="hocket report", allow_dirty=False):
    """The document of a set of records."""
    from reports import analysis, context, document, finetuning, inference, quality, speed, verdicts
    from reports import format as fmt

    boards = analysis.boards(record_set)
    names = context.machine_names(record_set)
    several = len(names) > 1
    banners = context.trust(record_set, boards, allow_dirty)
    opening = document.Section("Verdict", banners + verdicts.all_verdicts(record_set, boards))
    if not opening.blocks:
        opening.blocks.append(
            document.Text("These records allow no comparison; the tables below show what was measured.")
        )
    sections = [opening]
    sections += [quality.section(record_set, board, names, several) for board in boards]
    sections.append(finetuning.size_section(boards))
    sections.append(inference.precision_section(record_set, names, several))
    sections.append(inference.attention_section(record_set, names, several))
    sections.append(quality.curve_section(record_set, names, several))
    sections.append(speed.ratio_section(record_set, names, several))
    sections.append(speed.throughput_section(record_set, names, several))
    sections.append(speed.bench_section(record_set, names, several))
    sections.append(speed.parity_section(record_set))
    sections.append(context.protocol(record_set, boards))
    sections.append(context.failures(record_set))
    sections.append(context.environment(record_set, names))
    last, commands = context.reproduce(record_set)
    sections.append(last)
    experiments = sorted({document.plain(r["experiment"]) for r in record_set.records})
    versions = sorted({document.plain(r["provenance"]["version"]) for r in record_set.records})
    subtitle = "%s from %s, hocket %s, %s" % (
        fmt.plural(len(record_set.records), "record"),
        fmt.listing(experiments),
        fmt.listing(versions),
        fmt.listing([names[f] for f in sorted(names)] + context.gpus(record_set.records)),
    )
    made = document.Document(
        title, subtitle, [s for s in sections if s is not None], any(b.level == "broken" for b in banners)
    )
    return made, commands


def files(made, commands):
    """{relative path: text} of everything a report consists of."""
    from reports import document, figures, html, markdown

    out = {
        "index.html": html.page(made),
        "report.md": markdown.text(made),
        "tables/%s.csv" % commands[0]: commands[1].text(),
    }
    for figure in made.blocks(document.Figure):
        out["plots/%s.svg" % figure.name] = figures.standalone(figure.svg)
        out["plots/%s.csv" % figure.name] = figure.data.text()
    for table in made.blocks(document.Table):
        out["tables/%s.csv" % table.name] = table.data.text()
    return out


def write(out, directory):
    """Writes every file whole, and removes plots and tables of an earlier report that this one does not have."""
    directory = Path(directory)
    for name, text in sorted(out.items()):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("." + path.name + ".part")
        part.write_bytes(text.encode("utf-8"))
        os.replace(part, path)
    for folder in ("plots", "tables"):
        for path in sorted((directory / folder).glob("*")) if (directory / folder).is_dir() else ():
            if "%s/%s" % (folder, path.name) not in out and path.suffix in (".svg", ".csv"):
                path.unlink()


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="render.py", description="Turns run records into index.html and report.md.")
    parser.add_argument("--results", nargs="+", required=True, metavar="DIR", help="directories (or files) of records")
    parser.add_argument("--out", required=True, metavar="DIR", help="where the report is written")
    parser.add_argument("--title", default="hocket report")
    parser.add_argument(
        "--allow-dirty", action="store_true", help="uncommitted changes are a caution (not for published records)"
    )
    options = parser.parse_args(arguments)  # argparse itself leaves with 2 on wrong use
    try:
        import matplotlib  # noqa: F401 - a missing library is wrong use of this program, said in one line
        import numpy  # noqa: F401
    except ImportError as error:
        print("render.py: %s; install numpy and matplotlib" % error, file=sys.stderr)
        return EXIT_USAGE
    from reports import records

    try:
        record_set = records.load(options.results)
    except records.RecordError as error:
        print("render.py: these records cannot be reported on\n%s" % error, file=sys.stderr)
        return EXIT_DATA
    made, commands = build(record_set, options.title, options.allow_dirty)
    write(files(made, commands), options.out)
    print(Path(options.out) / "index.html")
    from reports.document import Banner

    for banner in made.blocks(Banner):
        print(
            "%s:\n  %s" % (banner.title, "\n  ".join(item.replace("**", "") for item in banner.items)), file=sys.stderr
        )
    return EXIT_TRUST if made.broken else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
