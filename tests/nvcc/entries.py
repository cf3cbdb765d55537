"""The entry points of kernels/<op>/cuda.cuh, read from the source after the preprocessor has unfolded its macros: name,
arguments, and the launch shape from the comment beside it,

  // launch: grid ceil(rows / 4) x heads; block 128; shared 4 * columns

which holds for the entry points below it up to the next such comment. Names in it are arguments of the entry point, or
members of a struct that it takes."""
import ast
import math
import re
import subprocess
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"hocket_(?P<op>[a-z0-9]+)_(?P<variant>[a-z0-9_]+)_(?P<dtype>f64|f32|tf32|f16|bf16|i32|i16|i8|u8)")
TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|HOCKET_KERNEL(?:_BOUNDS)?\s*\(", re.S)
LAUNCH = re.compile(r"launch:\s*grid\s+(?P<grid>[^;]+);\s*block\s+(?P<block>[^;]+);\s*shared\s+(?P<shared>[^;]+?)\s*$", re.S)


class Bad(Exception):
    """The source breaks a rule of docs/cuda.md; the message says which and where."""


def operations():
    """Rooms with kernels for nvcc, in order."""
    return sorted(path.parent.name for path in (ROOT / "kernels").glob("*/cuda.cu"))


def source_of(operation):
    """kernels/<op>/cuda.cu with the headers of kernels/ that it reaches; other includes are left out."""
    seen, out = set(), []

    def take(path):
        if path in seen:
            return
        seen.add(path)
        for line in path.read_text(encoding="utf-8").splitlines():
            include = re.match(r"\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", line)
            if include:
                ours = ROOT / include[1].replace("hocket/kernels/", "kernels/", 1)
                if include[1].startswith("hocket/kernels/") and ours.is_file():
                    take(ours)
            elif not re.match(r"\s*#\s*pragma\s+once", line):
                out.append(line)

    take(ROOT / "kernels" / operation / "cuda.cu")
    return "\n".join(out) + "\n"


def unfold(source, compiler):
    """After the preprocessor, comments kept, those of macros too."""
    done = subprocess.run([compiler, "-E", "-CC", "-P", "-D__CUDACC__", "-x", "c++", "-"], input=source, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Bad(f"{compiler} -E failed:\n{done.stderr}")
    return done.stdout


def group(text, opening):
    """(inside, end): what the parenthesis at `opening` encloses."""
    depth = 0
    for at in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[opening + 1:at], at + 1
    raise Bad("a parenthesis is not closed: " + text[opening:opening + 80])


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.S)


def declarations(text):
    """[{name, type}] of a parameter list."""
    out = []
    for part in re.split(r",(?![^<]*>)", without_comments(text)):
        part = " ".join(part.split())
        if part:
            declared = re.fullmatch(r"(.*[\s*&])(\w+)", part)
            if not declared:
                raise Bad(f"the argument '{part}' has no name")
            out.append({"name": declared[2], "type": re.sub(r"\s*([*&])\s*", r"\1", declared[1]).strip()})
    return out


def members(text, type_name):
    """[{name, type}] of the struct that an entry point takes by value; None if the room does not define it."""
    found = re.search(r"\bstruct\s+" + re.escape(type_name.split("::")[-1]) + r"\s*\{(.*?)\n?\};", without_comments(text), re.S)
    if not found:
        return None
    out = []
    for statement in found[1].split(";"):
        statement = " ".join(statement.split())
        declared = re.fullmatch(r"((?:const |unsigned |signed |long |short )*[\w:]+(?:<[^>]*>)?[\s*]+)([\w\s,=.*\[\]{}\-+]+)", statement)
        if "(" not in statement and declared:
            for name in declared[2].split(","):
                out.append({"name": re.split(r"[=\[{]", name)[0].strip(" *"), "type": declared[1].strip()})
    return out


def evaluate(expression, values):
    """A whole number: `expression` of a launch comment with the sizes in `values`. Division is exact, ceil rounds up."""
    functions = {"ceil": math.ceil, "min": min, "max": max}
    operators = {ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b, ast.Div: lambda a, b: a / b}

    def value(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return Fraction(node.value)
        if isinstance(node, ast.Name):
            return Fraction(values[node.id])
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            return operators[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions and node.args:
            return Fraction(functions[node.func.id](*map(value, node.args)))
        raise Bad(f"'{expression}' is not a formula of sizes: only + - * / ( ) ceil min max")

    try:
        result = value(ast.parse(expression, mode="eval").body)
    except SyntaxError as wrong:
        raise Bad(f"'{expression}' is not a formula of sizes") from wrong
    if result.denominator != 1:
        raise Bad(f"'{expression}' is {result} at {values}: not a whole number")
    return int(result)


def names_in(expression):
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as wrong:
        raise Bad(f"'{expression}' is not a formula of sizes") from wrong
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}


def launch_of(comments):
    """{grid, block, shared} of a comment and those that follow it directly (a formatter may have broken the line)."""
    text = ""
    for comment in comments:
        text += " " + comment.strip("/* \n").strip()
        found = LAUNCH.search(text)
        if found and text.count("(") == text.count(")"):
            three = {key: [" ".join(part.split()) for part in re.split(r"\s+x\s+", found[key])] for key in ("grid", "block")}
            for dimensions in three.values():
                if len(dimensions) > 3:
                    raise Bad(f"more than three dimensions: '{text.strip()}'")
                dimensions += ["1"] * (3 - len(dimensions))
            return {**three, "shared": " ".join(found["shared"].split())}
    raise Bad(f"'{comments[0].strip()}' is not of the form 'launch: grid ...; block ...; shared ...'")


def entries_of(operation, text):
    """The entry points in unfolded text."""
    out, launch, tokens = [], None, list(TOKEN.finditer(text))
    for index, token in enumerate(tokens):
        if token[0].startswith("/"):
            if "launch:" in token[0]:
                following = [token[0]]
                for before, after in zip(tokens[index:], tokens[index + 1:]):
                    if not after[0].startswith("//") or text[before.end():after.start()].strip():
                        break
                    following.append(after[0])
                launch = launch_of(following)
            continue
        head, end = group(text, token.end() - 1)
        name, *bounds = [part.strip() for part in head.split(",")]
        opening = text.index("(", end)
        inside, _ = group(text, opening)
        parsed = NAME.fullmatch(name)
        if not parsed:
            raise Bad(f"kernels/{operation}/cuda.cuh: entry point {name} is not hocket_<op>_<variant>_<dtype>")
        if launch is None:
            raise Bad(f"kernels/{operation}/cuda.cuh: no '// launch: grid ...; block ...; shared ...' above {name}")
        arguments = declarations(inside)
        variant = parsed["variant"] if parsed["op"] == operation.replace("_", "") else f"{parsed['op']}_{parsed['variant']}"
        entry = {"name": name, "operation": operation, "variant": variant, "dtype": parsed["dtype"], "arguments": arguments, **launch}
        known = {argument["name"] for argument in arguments}
        for argument in arguments:
            fields = None if "*" in argument["type"] else members(text, argument["type"])
            if fields:
                argument["members"] = fields
                known |= {field["name"] for field in fields}
        for expression in [*entry["grid"], *entry["block"], entry["shared"]]:
            unknown = names_in(expression) - known
            if unknown:
                raise Bad(f"kernels/{operation}/cuda.cuh: the launch of {name} names {', '.join(sorted(unknown))}, which it does not take; "
                          f"it takes {', '.join(sorted(known))}")
        if bounds and not any(names_in(part) for part in [*entry["block"], bounds[0]]):
            threads = math.prod(evaluate(part, {}) for part in entry["block"])
            if threads > evaluate(bounds[0], {}):
                raise Bad(f"kernels/{operation}/cuda.cuh: {name} starts {threads} threads, its bound is {bounds[0]}")
        out.append(entry)
    if not out:
        raise Bad(f"kernels/{operation}/cuda.cu has no entry point")
    return out


def all_entries(compiler):
    """Every entry point of the tree, by name; a name that occurs twice is an error."""
    out = {}
    for operation in operations():
        for entry in entries_of(operation, unfold(source_of(operation), compiler)):
            if entry["name"] in out:
                raise Bad(f"{entry['name']} is in kernels/{operation} and in kernels/{out[entry['name']]['operation']}")
            out[entry["name"]] = entry
    return [out[name] for name in sorted(out)]
