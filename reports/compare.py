"""Two sets of records: which verdicts changed.

    python3 reports/compare.py --before DIR... --after DIR... [--out FILE.md]

Prints Markdown: pairs of arms, speed ratios and parity rows whose verdict differs, and what exists on one side only.
Exit codes: 0 nothing got worse, 1 a target or a parity row was lost, 2 wrong use, 4 records missing or unreadable.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":  # see render.py
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

EXIT_SAME, EXIT_WORSE, EXIT_DATA = 0, 1, 4


def findings(record_set):
    """{what: (verdict, detail)} of one set. Machines are part of a timing's name, but not of a quality verdict's."""
    from reports import analysis
    from reports import format as fmt
    from reports.document import plain
    from reports.verdicts import ratio_outcome

    out = {}
    for board in analysis.boards(record_set):
        for (a, b), one in board.comparisons.items():
            if a < b:
                out["%s: %s against %s" % (plain(board.title), plain(a), plain(b))] = (
                    one.verdict,
                    "%s points %s"
                    % (fmt.points(one.difference), fmt.points_interval(one.interval) if one.interval else ""),
                )
        for arm in board.arms.values():
            metric = arm.metrics.get(board.metric)
            if arm.rank is not None and metric is not None:
                out["%s: %s" % (plain(board.title), plain(arm.name))] = (
                    "in the best group" if arm.best else "not in the best group",
                    "%s %%" % fmt.percent(metric.value),
                )
    words = {True: "met", False: "missed"}
    for record in record_set.kind("compare"):
        for ratio in record.get("ratios", ()):
            outcome = (
                words.get(ratio.get("met"))
                or {"good": "win", "bad": "loss", "even": "not separable"}[ratio_outcome(ratio)]
            )
            out[
                "%s: %s (machine %s)" % (plain(record["case"]), plain(ratio["name"]), record["machine"]["fingerprint"])
            ] = (outcome, "%s× %s" % (fmt.ratio(ratio["ratio"]), fmt.ratio_interval(ratio["ci95"])))
    for record in record_set.kind("parity"):
        for row in record.get("parity", ()):
            out[
                "parity: %s"
                % plain(
                    " ".join(
                        (row.get("preset", ""), row["what"], "against", row["peer"], row["peer_version"], row["dtype"])
                    )
                )
            ] = (
                "agrees" if row["ok"] else "differs",
                "error %s, bound %s" % (fmt.significant(row["max_error"], 2), fmt.significant(row["bound"], 2)),
            )
    return out


LOST = {("met", "missed"), ("win", "loss"), ("not separable", "loss"), ("agrees", "differs")}


def report(before, after):
    """(Markdown, True if something was lost) of two findings."""
    from reports.records import natural

    changed = sorted((n for n in before if n in after and before[n][0] != after[n][0]), key=natural)
    lost = [n for n in changed if (before[n][0], after[n][0]) in LOST]
    lines = [
        "# What changed",
        "",
        "%d verdicts on both sides, %d changed, %d lost." % (sum(n in after for n in before), len(changed), len(lost)),
        "",
    ]
    if changed:
        lines += ["| what | before | after | |", "|---|---|---|---|"]
        lines += [
            "| %s | %s: %s | %s: %s | %s |"
            % (n.replace("|", "\\|"), *before[n], *after[n], "lost" if n in lost else "")
            for n in changed
        ] + [""]
    for title, names in (("Only before", set(before) - set(after)), ("Only after", set(after) - set(before))):
        if names:
            lines += (
                ["## %s" % title, ""]
                + ["- %s: %s" % (n, (before.get(n) or after[n])[0]) for n in sorted(names, key=natural)]
                + [""]
            )
    return "\n".join(lines).rstrip("\n") + "\n", bool(lost)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="compare.py", description="Which verdicts changed between two sets of records."
    )
    parser.add_argument("--before", nargs="+", required=True, metavar="DIR")
    parser.add_argument("--after", nargs="+", required=True, metavar="DIR")
    parser.add_argument("--out", metavar="FILE", help="write there instead of printing")
    options = parser.parse_args(arguments)
    from reports import records

    try:
        before, after = (findings(records.load(folders)) for folders in (options.before, options.after))
    except records.RecordError as error:
        print("compare.py: these records cannot be compared\n%s" % error, file=sys.stderr)
        return EXIT_DATA
    text, lost = report(before, after)
    if options.out:
        Path(options.out).write_bytes(text.encode("utf-8"))
    else:
        sys.stdout.buffer.write(text.encode("utf-8"))
    return EXIT_WORSE if lost else EXIT_SAME


if __name__ == "__main__":
    sys.exit(main())
