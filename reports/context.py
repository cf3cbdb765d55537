"""The parts of a report that say what the numbers rest on: trust, protocol, failures, environment, how to repeat it."""

from __future__ import annotations

import hashlib
import json
import math

from reports import analysis
from reports import format as fmt
from reports import statistics
from reports.document import Banner, Bullets, Cell, Code, Column, Data, Section, Table, Text, plain

MINIMUM_SEEDS = 5
NOT_RUN = "not run: "
KINDS = ("quality", "throughput", "parity", "bench", "compare", "curve")
OPTIMISED_BUILDS = ("release", "relwithdebinfo", "minsizerel")


def machine_names(record_set):
    """fingerprint -> short name: processor and cores, with a letter where several machines have the same ones."""
    seen = {}
    for record in record_set.records:
        seen.setdefault(record["machine"]["fingerprint"], record["machine"])
    alike = [(m["cpu"], m["cores"]) for m in seen.values()]
    names = {}
    for i, (fingerprint, machine) in enumerate(sorted(seen.items())):
        twice = alike.count((machine["cpu"], machine["cores"])) > 1
        names[fingerprint] = "%s, %s%s" % (
            plain(machine["cpu"]),
            fmt.plural(machine["cores"], "core"),
            " (machine %s)" % chr(ord("A") + i % 26) if twice else "",
        )
    return names


def gpus(records):
    """The graphics processors that CUDA arms of these records ran on, by name."""
    return sorted({plain(r["config"]["gpu"]) for r in records if r["config"].get("gpu")})


def _wrong_ratios(record_set):
    """Ratios that their own rounds do not give."""
    wrong = []
    for record in record_set.records:
        for ratio in record.get("ratios", ()):
            if len(ratio["log_ratios"]) >= 3:
                own = math.exp(statistics.median_interval(ratio["log_ratios"])[0])
                if abs(own / ratio["ratio"] - 1.0) > 1e-6:
                    wrong.append(
                        "%s: %s is recorded as %.6g, its rounds give %.6g"
                        % (plain(record["case"]), plain(ratio["name"]), ratio["ratio"], own)
                    )
    return wrong


def trust(record_set, boards, allow_dirty=False):
    """[Banner]: what makes the report untrustworthy ("broken", exit 3) and what limits it ("caution", exit 0).
    `allow_dirty`: uncommitted changes are a caution; never so for what is published."""
    records = record_set.records
    broken, caution = [], []
    failed = [r for r in records if r["status"] == "failed"]
    if failed:
        broken.append("%s failed; see Failures." % fmt.plural(len(failed), "case"))
    builds = sorted({r["provenance"]["build_type"] for r in records})
    slow = [b for b in builds if b.lower() not in OPTIMISED_BUILDS]
    if slow:
        broken.append(
            "%s built as %s: its times say nothing."
            % (
                fmt.plural(sum(r["provenance"]["build_type"] in slow for r in records), "record was", "records were"),
                fmt.listing(plain(b) or "an unnamed build type" for b in slow),
            )
        )
    dirty = [r for r in records if r["provenance"]["git_dirty"]]
    if dirty:
        (caution if allow_dirty else broken).append(
            "%s made from a source tree with uncommitted changes, so no commit describes the code."
            % (fmt.plural(len(dirty), "record was", "records were"))
        )
    made_up = sorted(
        {plain(d["name"]) for r in records for d in r.get("data", ()) if d["synthetic"] and r["kind"] == "quality"}
    )
    if made_up:
        broken.append("Quality was measured on generated data: %s." % fmt.listing(made_up))
    broken += [plain(line) for board in boards for line in board.contradictions] + _wrong_ratios(record_set)
    digests = {}
    for record in records:
        for data in record.get("data", ()):
            digests.setdefault((record["experiment"], data["name"]), set()).add(data["sha256"])
    for (experiment, name), found in sorted(digests.items()):
        if len(found) > 1:
            broken.append(
                "%s: the data set %s has %d different contents." % (plain(experiment), plain(name), len(found))
            )
    budgets = {}
    for board in boards:
        for record in board.records:
            budgets.setdefault(board.title, set()).add(record["protocol"].get("tuning_trials"))
    for title, found in sorted(budgets.items()):
        if len(found) > 1:
            broken.append(
                "%s: tuning budgets differ between arms (%s trials)."
                % (plain(title), fmt.listing(str(v) for v in sorted(found, key=lambda v: -1 if v is None else v)))
            )

    embedded = sorted({plain(d["name"]) for r in records for d in r.get("data", ()) if d["embedded"]})
    if embedded:
        caution.append("Small embedded data stood in for the full sets: %s." % fmt.listing(embedded))
    few = sorted({plain(b.title) for b in boards if min(len(a.repetitions) for a in b.arms.values()) < MINIMUM_SEEDS})
    if few:
        caution.append(
            "Fewer than %d repetitions in %s: not enough for a published number." % (MINIMUM_SEEDS, fmt.listing(few))
        )
    commits = {}
    for record in records:
        commits.setdefault(record["experiment"], set()).add(record["provenance"]["code_digest"])
    mixed = sorted(plain(name) for name, found in commits.items() if len(found) > 1)
    if mixed:
        caution.append("Records of %s come from several versions of the program." % fmt.listing(mixed))
    unpaired = [(b.title, name) for b in boards for name in b.unpaired if len(b.arms) > 1]
    if unpaired:
        caution.append(
            "Not ranked, because they did not answer the same items as the others: %s."
            % fmt.listing("%s (%s)" % (plain(name), plain(title)) for title, name in unpaired)
        )
    busy = [
        r
        for r in records
        if r["machine"].get("load_average")
        and r["kind"] in ("throughput", "bench", "compare")
        and r["machine"]["load_average"][0] > r["machine"]["cores"] + 1
    ]
    if busy:
        caution.append(
            "%s taken while other programs kept the machine busy (load above the number of cores)."
            % fmt.plural(len(busy), "timing record was", "timing records were")
        )
    noisy = sum(bool(t.get("noisy")) for r in records for name in ("timings", "ratios") for t in r.get(name, ()))
    if noisy:
        caution.append("%s had fewer quiet rounds than wanted; marked in the tables." % fmt.plural(noisy, "time"))
    absent = [r for r in records if r["status"] in ("not_run", "skipped")]
    if absent:
        caution.append("%s not run; see Failures." % fmt.plural(len(absent), "case was", "cases were"))
    arms = absent_arms(record_set)
    if arms:
        caution.append(
            "%s missing from finished cases: %s; see Failures."
            % (
                fmt.plural(len(arms), "arm or check is", "arms or checks are"),
                fmt.listing(sorted({plain(a) for _, a, _ in arms})),
            )
        )
    if record_set.superseded:
        caution.append(
            "%s superseded by a newer one of the same case and not shown."
            % fmt.plural(len(record_set.superseded), "record is", "records are")
        )
    banners = []
    if broken:
        banners.append(Banner("broken", "Do not quote these numbers", broken))
    if caution:
        banners.append(Banner("caution", "Read with caution", caution))
    return banners


def protocol(record_set, boards):
    section = Section("Protocol")
    rows, data = [], []
    for board in boards:
        one = board.records[0]["protocol"]
        trials = one.get("tuning_trials")
        seeds = sorted({w[0] for a in board.arms.values() for w in a.repetitions})
        folds = one.get("folds") or len({w[1] for a in board.arms.values() for w in a.repetitions})
        values = [
            board.title,
            one["task"],
            one["split_unit"],
            len(board.arms),
            len(seeds),
            folds,
            board.items or None,
            board.units or None,
            trials,
            one["selection_split"],
            one["family"],
        ]
        data.append(values)
        rows.append([Cell(plain(v) if v is not None else fmt.MISSING, v) for v in values[:9]])
    header = [
        "experiment / data",
        "task",
        "split by",
        "arms",
        "seeds",
        "folds",
        "test items",
        "test units",
        "tuning trials",
        "selected on",
        "Holm family",
    ]
    if rows:
        section.blocks.append(
            Table(
                "protocol",
                "What was asked, and what was kept apart. No split unit is on both sides of a split; "
                "hyper-parameters were chosen on the validation split only.",
                [Column(h, i > 2) for i, h in enumerate(header[:9])],
                rows,
                Data(header, data),
            )
        )
    section.blocks += _data_table(record_set)
    notes = []
    for board in boards:
        for note in board.records[0]["protocol"].get("notes", ()):
            line = "%s: %s" % (plain(board.title), plain(note))
            if line not in notes:
                notes.append(line)
    if notes:
        section.blocks += [Text("**Known limits of these data**"), Bullets(notes)]
    if boards:
        section.blocks += [
            Text("**How verdicts are made**"),
            Bullets(_rules()),
        ]
    return section if section.blocks else None


def _rules():
    """How intervals, tests and verdicts are made, in words."""
    return [
        "A test interval (95 %%) is over split units: Wilson where every unit is one answer, else a bootstrap that draws "
        "whole units again, %d draws of a fixed stream, percentiles expanded for few units. A seed or fold interval is "
        "Student's over repetitions; folds share training data, so it is a description, not a test."
        % statistics.BOOTSTRAP_DRAWS,
        "Two arms are compared on the same items by an exact sign-flip test over split units; p values are corrected "
        "by Holm over all pairs of a family. “Beats” means Holm p < .05; “equivalent” means that the 90 %% "
        "interval lies within ±%s points, or within the margin that the protocol declared before the run; everything else is “not resolved”, with the difference that one test of these units "
        "would find with 80 %% probability." % fmt.points(analysis.MARGIN, 0),
        "An arm's rank is the range of places the data leave open; the best group is every arm that no other arm "
        "beats. What is not separable is not ranked.",
    ]


def _data_table(record_set):
    found = {}
    for record in record_set.records:
        for data in record.get("data", ()):
            found.setdefault((data["name"], data["version"], data["sha256"]), (data, set()))[1].add(
                record["experiment"]
            )
    if not found:
        return []
    rows, values = [], []
    for (name, version, digest), (data, users) in sorted(found.items()):
        kind = "generated" if data["synthetic"] else "embedded" if data["embedded"] else "full set"
        counts = [data.get(k) for k in ("n_train", "n_valid", "n_test", "units")]
        rows.append(
            [Cell(plain(name)), Cell(plain(version)), Cell(kind)]
            + [Cell(fmt.MISSING if c is None else str(c), c) for c in counts]
            + [
                Cell(plain(data.get("licence", "")) or fmt.MISSING),
                Cell("`%s`" % plain(digest[:12]), digest),
                Cell(fmt.listing(sorted(plain(u) for u in users))),
            ]
        )
        values.append([name, version, kind] + counts + [data.get("licence", ""), digest, " ".join(sorted(users))])
    header = ["data set", "version", "kind", "train", "valid", "test", "units", "licence", "sha256", "used by"]
    return [
        Table(
            "data", "Data sets by content.", [Column(h, h in header[3:7]) for h in header], rows, Data(header, values)
        )
    ]


def absent_arms(record_set):
    """(record, arm, reason) of arms that a finished case could not run: configuration keys "not run: NAME"."""
    return [
        (r, key[len(NOT_RUN) :], str(reason))
        for r in record_set.kind(*KINDS)
        for key, reason in sorted(r["config"].items())
        if key.startswith(NOT_RUN)
    ]


def failures(record_set):
    absent = [r for r in record_set.records if r["status"] != "ok"]
    arms = absent_arms(record_set)
    section = Section("Failures")
    if not absent and not arms:
        section.blocks.append(Text("No case failed and none was left out."))
        return section
    rows, values = [], []
    for record in absent:
        error = record.get("error") or {"kind": "", "message": ""}
        state = record["status"].replace("_", " ")
        rows.append(
            [
                Cell(state, tone="bad" if state == "failed" else "faint"),
                Cell(plain(record["experiment"])),
                Cell(plain(record["case"])),
                Cell(record["kind"]),
                Cell(plain(error["kind"]) or fmt.MISSING),
                Cell(plain(error["message"]) or fmt.MISSING),
            ]
        )
        values.append([state, record["experiment"], record["case"], record["kind"], error["kind"], error["message"]])
    for record, arm, reason in arms:
        kind, colon, message = reason.partition(": ")
        kind, message = (kind, message) if colon and " " not in kind else ("", reason)
        row = ["not run", record["experiment"], "%s: %s" % (record["case"], arm), record["kind"], kind, message]
        rows.append([Cell(plain(v) or fmt.MISSING, tone="faint" if i == 0 else "") for i, v in enumerate(row)])
        values.append(row)
    header = ["status", "experiment", "case", "kind", "reason", "message"]
    section.blocks.append(
        Table(
            "failures",
            "Every case without a result, with the reason that it gave.",
            [Column(h) for h in header],
            rows,
            Data(header, values),
        )
    )
    return section


def environment(record_set, names):
    section = Section("Environment")
    machines = {}
    for record in record_set.records:
        machines.setdefault(record["machine"]["fingerprint"], []).append(record)
    header = ["", *[names[f] for f in sorted(machines)]]
    columns = []
    for fingerprint in sorted(machines):
        records = machines[fingerprint]
        one = records[0]["machine"]
        columns.append(
            [
                ("fingerprint", one["fingerprint"]),
                ("processor", one["cpu"]),
                ("cores", str(one["cores"])),
                ("graphics processor", fmt.listing(gpus(records)) or fmt.MISSING),
                ("memory", fmt.size(one["ram_bytes"])),
                ("instruction sets", one["isa"]),
                ("caches", one.get("caches") or fmt.MISSING),
                ("system", one["os"]),
                ("kernel", one["kernel"]),
                ("governor", one.get("governor") or fmt.MISSING),
                ("records", str(len(records))),
            ]
        )
    rows = [[Cell(columns[0][i][0])] + [Cell(plain(c[i][1])) for c in columns] for i in range(len(columns[0]))]
    section.blocks.append(
        Table(
            "machines",
            "Machines. Times of different machines never share a table or a plot.",
            [Column(h) for h in header],
            rows,
            Data(["property"] + sorted(machines), [[r[0].text] + [c.text for c in r[1:]] for r in rows]),
        )
    )
    builds = {}
    for record in record_set.records:
        p = record["provenance"]
        key = (
            p["version"],
            p["git_commit"],
            p["git_dirty"],
            p["compiler"],
            p["flags"],
            p["build_type"],
            json.dumps(p["libraries"], sort_keys=True),
            json.dumps(p.get("environment", {}), sort_keys=True),
        )
        builds.setdefault(key, []).append(record)
    header = ["programs", "version", "commit", "compiler", "flags", "build", "libraries", "environment"]
    values = []
    for key in sorted(builds, key=str):
        version, commit, dirty, compiler, flags, build_type, libraries, variables = key
        values.append(
            [
                ", ".join(sorted({r["experiment"] for r in builds[key]})),
                version,
                (commit[:12] or "unknown") + (" + uncommitted changes" if dirty else ""),
                compiler,
                flags,
                build_type,
                ", ".join("%s %s" % item for item in sorted(json.loads(libraries).items())),
                ", ".join("%s=%s" % item for item in sorted(json.loads(variables).items())) or "none set",
            ]
        )
    rows = [
        [Cell(name)] + [Cell(plain(v[i]), tone="bad" if i == 2 and "uncommitted" in v[i] else "") for v in values]
        for i, name in enumerate(header)
    ]
    titles = [""] + ["build %d" % (i + 1) if len(values) > 1 else "build" for i in range(len(values))]
    section.blocks.append(
        Table("builds", "What the programs were built from.", [Column(t) for t in titles], rows, Data(header, values))
    )
    return section


def commands(records):
    """Distinct commands of records, in canonical order."""
    out = []
    for record in records:
        line = fmt.command(record["provenance"]["command"])
        if line and line not in out:
            out.append(line)
    return out


def command_of(records):
    """The command to print beside a plot: the one command, or the first of several and where the rest stands."""
    lines = commands(records)
    if not lines:
        return ""
    return lines[0] if len(lines) == 1 else "%s   # and %d more, see Reproduce" % (lines[0], len(lines) - 1)


def reproduce(record_set):
    section = Section("Reproduce")
    lines = commands(record_set.records)
    shown = lines[:24]
    section.blocks.append(
        Text(
            "Every number above comes from the records that these commands wrote; the report was made from the "
            "records alone by the last one."
        )
    )
    section.blocks.append(
        Code(
            "\n".join(
                shown
                + (["# ... and %d more, in tables/commands.csv" % (len(lines) - 24)] if len(lines) > 24 else [])
                + ["python3 reports/render.py --results RESULTS --out REPORT"]
            )
        )
    )
    values = [
        [
            r["experiment"],
            r["case"],
            r["kind"],
            r["status"],
            r["key"],
            r["provenance"]["created_utc"],
            r.get("wall_s"),
            fmt.command(r["provenance"]["command"]),
        ]
        for r in record_set.records
    ]
    wall = math.fsum(r.get("wall_s") or 0.0 for r in record_set.records)
    text = json.dumps(sorted((r["key"], r["machine"]["fingerprint"]) for r in record_set.records))
    digest = hashlib.sha256(text.encode()).hexdigest()
    section.blocks.append(
        Text(
            "%s, %s of computing; digest of their keys `%s`."
            % (
                fmt.plural(len(record_set.records), "record"),
                "%s s" % fmt.significant(wall) if wall < 600 else "%s min" % fmt.significant(wall / 60),
                digest[:16],
            )
        )
    )
    return section, (
        "commands",
        Data(["experiment", "case", "kind", "status", "key", "created", "wall_s", "command"], values),
    )
