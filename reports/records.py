"""Run records: loading, validation, and the one canonical order in which everything else sees them.

A record is a JSON object of schema/record.schema.json. Loading refuses what a report must not average over: NaN,
another schema, a value outside the schema, arrays that do not fit together, one key with two contents.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

DRIVER_FOLDERS = ("cache", "superseded")  # stages, and records of earlier code or configuration
SCHEMA_PATH = Path(__file__).resolve().parent / "schema" / "record.schema.json"


class RecordError(Exception):
    """A set of records that cannot be reported on; every line names a file and what is wrong with it."""

    def __init__(self, problems):
        self.problems = list(problems)
        shown = self.problems[:20]
        if len(self.problems) > 20:
            shown.append("... and %d more" % (len(self.problems) - 20))
        super().__init__("\n".join(shown))


_TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: not isinstance(v, bool) and (isinstance(v, int) or (isinstance(v, float) and v.is_integer())),
}
_PLAIN = {'{"type": "integer"}': (int,), '{"type": "number"}': (int, float), '{"type": "string"}': (str,)}
# Keywords that say something about a value, then keywords that only describe. Anything else in the schema is a mistake.
_CHECKED = {
    "type",
    "const",
    "enum",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "pattern",
    "minLength",
    "minItems",
    "maxItems",
}
_DESCRIBING = {"$schema", "$id", "title", "description"}


def _same(a, b):
    return type(a) is type(b) and a == b


def violations(value, schema, where="record"):
    """The ways in which `value` breaks `schema`: a list of "where: what" strings, empty for a valid value."""
    unknown = set(schema) - _CHECKED - _DESCRIBING
    if unknown:
        raise ValueError("%s: schema keyword %s is not known to this validator" % (where, ", ".join(sorted(unknown))))
    found = []
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_TYPES[name](value) for name in names):
            return ["%s: is %s, must be %s" % (where, _brief(value), " or ".join(names))]
    if "const" in schema and not _same(value, schema["const"]):
        found.append("%s: is %s, must be %s" % (where, _brief(value), json.dumps(schema["const"])))
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        found.append("%s: is %s, must be one of %s" % (where, _brief(value), ", ".join(map(str, schema["enum"]))))
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            found.append("%s: is too short" % where)
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append("%s: %s does not match %s" % (where, _brief(value), schema["pattern"]))
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                found.append("%s: has no '%s'" % (where, name))
        extra = schema.get("additionalProperties", True)
        for name, member in value.items():
            if name in properties:
                found += violations(member, properties[name], "%s.%s" % (where, name))
            elif extra is False:
                found.append("%s: '%s' is not a known field" % (where, name))
            elif isinstance(extra, dict):
                found += violations(member, extra, "%s.%s" % (where, name))
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            found.append("%s: has %d entries, needs at least %d" % (where, len(value), schema["minItems"]))
        if len(value) > schema.get("maxItems", len(value)):
            found.append("%s: has %d entries, at most %d are allowed" % (where, len(value), schema["maxItems"]))
        plain = _PLAIN.get(json.dumps(schema.get("items")), ())  # long arrays of numbers: one look at all their types
        for i, member in enumerate(value if "items" in schema and not set(map(type, value)) <= set(plain) else ()):
            found += violations(member, schema["items"], "%s[%d]" % (where, i))
    return found


def _brief(value):
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def inconsistencies(record):
    """What the schema cannot say: fields that must fit together."""
    found = []
    items = record.get("items")
    if items:
        n = len(items["truth"])
        for name in ("predicted", "unit"):
            if name in items and len(items[name]) != n:
                found.append("items.%s: has %d entries, items.truth has %d" % (name, len(items[name]), n))
    for i, timing in enumerate(record.get("timings", ())):
        if not 0 < timing["ci95_ns"][0] <= timing["median_ns"] <= timing["ci95_ns"][1]:
            found.append(
                "timings[%d]: median %g ns is not inside its interval [%g, %g], or not positive"
                % (i, timing["median_ns"], timing["ci95_ns"][0], timing["ci95_ns"][1])
            )
        if not timing["work"] > 0:
            found.append("timings[%d]: work is %g, must be positive" % (i, timing["work"]))
    for i, ratio in enumerate(record.get("ratios", ())):
        if not 0 < ratio["ci95"][0] <= ratio["ratio"] <= ratio["ci95"][1]:
            found.append(
                "ratios[%d]: %g is not inside its interval [%g, %g], or not positive"
                % (i, ratio["ratio"], ratio["ci95"][0], ratio["ci95"][1])
            )
    if record["status"] == "ok" and record["kind"] == "quality" and "protocol" not in record:
        found.append("a quality record needs a protocol")
    if record["status"] == "failed" and not record.get("error"):
        found.append("a failed record needs an error")
    return found


def _refuse_constant(name):
    raise ValueError("%s is not a number a record may hold; write null" % name)


def _finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("%s is not finite" % text)
    return value


def load_file(path):
    """One record; raises ValueError with what is wrong."""
    with open(path, encoding="utf-8") as stream:
        record = json.load(stream, parse_constant=_refuse_constant, parse_float=_finite)
    if not isinstance(record, dict):
        raise ValueError("is not a JSON object")
    return record


def identity(record):
    """What may exist once: a key is made of configuration, data and code, so another machine may repeat it."""
    return (record["machine"]["fingerprint"], record["kind"], record["key"])


def _content(record):
    """Canonical text without time stamps; two runs that wrote the same numbers are the same record."""
    provenance = {k: v for k, v in record["provenance"].items() if k != "created_utc"}
    machine = {k: v for k, v in record["machine"].items() if k != "load_average"}
    return json.dumps({**record, "provenance": provenance, "machine": machine}, sort_keys=True)


def natural(text):
    """Sort key that puts k=8 before k=16, the same in every locale."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", text)]


def order(record):
    return (
        record["experiment"],
        record["kind"],
        natural(record["case"]),
        record["machine"]["fingerprint"],
        record["key"],
    )


class RecordSet:
    """Valid records in canonical order; `superseded` holds older versions of a case, which are named and not used."""

    def __init__(self, records, superseded=(), duplicates=0):
        self.records = sorted(records, key=order)
        self.superseded = sorted(superseded, key=order)
        self.duplicates = duplicates

    def kind(self, *kinds, ok=True):
        return [r for r in self.records if r["kind"] in kinds and (r["status"] == "ok" or not ok)]


def find_files(directories):
    """Every *.json below the directories, but not hidden files (half-written ones) nor the driver's own folders."""
    found = []
    for directory in map(Path, directories):
        if directory.is_file():
            found.append(directory)
            continue
        if not directory.is_dir():
            raise RecordError(["%s: no such directory" % directory])
        for folder, folders, names in os.walk(directory):
            folders[:] = [name for name in folders if name[0] != "." and name not in DRIVER_FOLDERS]
            found += [Path(folder) / name for name in names if name.endswith(".json") and name[0] != "."]
    return found


def load(directories):
    """All records below `directories`. Raises RecordError naming every file that cannot be used."""
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    wanted = schema["properties"]["schema"]["const"]
    problems, seen, duplicates = [], {}, 0
    for path in sorted(find_files(directories), key=str):
        try:
            record = load_file(path)
        except (OSError, ValueError) as error:
            problems.append("%s: %s" % (path, error))
            continue
        if record.get("schema") != wanted:
            problems.append(
                "%s: schema is %s, this report reads %s only" % (path, _brief(record.get("schema")), wanted)
            )
            continue
        wrong = violations(record, schema) or inconsistencies(record)
        if wrong:
            problems += ["%s: %s" % (path, one) for one in wrong[:3]]
            continue
        key = identity(record)
        if key not in seen:
            seen[key] = (record, path)
        elif _content(seen[key][0]) == _content(record):
            duplicates += 1
            if order_of_time(record) < order_of_time(seen[key][0]):
                seen[key] = (record, path)
        else:
            problems.append("%s and %s: the key %s has two contents; remove one of them" % (seen[key][1], path, key[2]))
    if problems:
        raise RecordError(problems)
    if not seen:
        raise RecordError(["%s: no record found" % ", ".join(map(str, directories))])
    return newest((record for record, _ in seen.values()), duplicates)


def order_of_time(record):
    return (record["provenance"]["created_utc"], json.dumps(record, sort_keys=True))


def newest(records, duplicates=0):
    """Keeps, of every case on every machine, the version created last."""
    versions = {}
    for record in records:
        name = (record["machine"]["fingerprint"], record["experiment"], record["kind"], record["case"])
        versions.setdefault(name, []).append(record)
    kept, superseded = [], []
    for group in versions.values():
        group.sort(key=lambda r: (r["provenance"]["created_utc"], r["key"]))
        kept.append(group[-1])
        superseded += group[:-1]
    return RecordSet(kept, superseded, duplicates)
