"""The parser on saved output of ptxas, the reader of entry points, the budget's judgement: all without nvcc."""
import contextlib
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.nvcc import entries, kernels, launches, ptxas  # noqa: E402

SAMPLES = Path(__file__).parent / "samples"
CXX = kernels.host_compiler()
ROOM = """// launch: grid ceil(rows / 4) x heads; block 32 x 4; shared 4 * columns
/// y = x.
HOCKET_KERNEL(hocket_toy_copy_f32)(const float* x, float* y, unsigned rows, unsigned heads, unsigned columns) {}
struct sizes {
  unsigned m, n = 3;
  float scale;
  bool ready() const { return m > 0; }
};
#define HOCKET_TOYS(T, type)                              \\
  /* launch: grid ceil(m / 64); block 128; shared 0 */    \\
  HOCKET_KERNEL_BOUNDS(hocket_toy_add_##type, 128, 2)     \\
  (const T* x, hocket::sizes p) {}
HOCKET_TOYS(float, f32)
HOCKET_TOYS(hocket::bf16, bf16)
"""


def read(source, operation="toy"):
    return entries.entries_of(operation, entries.unfold(source, CXX))


class Parser(unittest.TestCase):
    def test_what_a_sound_unit_uses(self):
        usages, warnings = ptxas.parse((SAMPLES / "layernorm_sm_80.txt").read_text(encoding="utf-8"))
        self.assertEqual(warnings, [])
        self.assertEqual(usages, [ptxas.Usage("hocket_rmsnorm_parameters_bf16", "sm_80", 24, 2048, 0, 0, 0),
                                  ptxas.Usage("hocket_rmsnorm_backward_bf16", "sm_80", 32, 0, 0, 0, 0)])

    def test_spills_stack_and_functions_that_were_not_inlined(self):
        usages, warnings = ptxas.parse((SAMPLES / "toys_sm_90.txt").read_text(encoding="utf-8"))
        self.assertEqual(usages, [ptxas.Usage("hocket_toy_spill_f32", "sm_90", 24, 0, 56, 92, 92),
                                  ptxas.Usage("hocket_toy_call_f32", "sm_90", 24, 256, 48, 0, 0),
                                  ptxas.Usage("hocket_toy_stack_f32", "sm_90", 24, 0, 160, 0, 0)])
        self.assertEqual(len(warnings), 3)
        self.assertIn("_Z3bigPfi, a function that was not inlined, spills", warnings[2])

    def test_output_of_another_form_is_an_error(self):
        text = (SAMPLES / "layernorm_sm_80.txt").read_text(encoding="utf-8")
        for lost in ("Used", "bytes stack frame"):
            with self.assertRaises(ptxas.Unreadable):
                ptxas.parse("\n".join(line for line in text.splitlines() if lost not in line))


class Source(unittest.TestCase):
    def test_arguments_members_and_launch(self):
        copy, add, add_bf16 = read(ROOM)
        self.assertEqual(copy["name"], "hocket_toy_copy_f32")
        self.assertEqual((copy["grid"], copy["block"], copy["shared"]), (["ceil(rows / 4)", "heads", "1"], ["32", "4", "1"], "4 * columns"))
        self.assertEqual(copy["arguments"][0], {"name": "x", "type": "const float*"})
        self.assertEqual((add["variant"], add["dtype"], add_bf16["dtype"]), ("add", "f32", "bf16"))
        self.assertEqual([member["name"] for member in add["arguments"][1]["members"]], ["m", "n", "scale"])
        self.assertEqual(add_bf16["arguments"][0]["type"], "const hocket::bf16*")

    def test_a_comment_that_was_broken_in_two(self):
        kernel = read("// launch: grid ceil((rows + columns) / 4) x\n// rows; block 32; shared 4 * (rows +\n// columns)\n"
                      "HOCKET_KERNEL(hocket_toy_copy_f32)(float* x, unsigned rows, unsigned columns) {}")[0]
        self.assertEqual((kernel["grid"][1], kernel["shared"]), ("rows", "4 * (rows + columns)"))

    def test_what_is_refused(self):
        kernel = "HOCKET_KERNEL(hocket_toy_copy_f32)(float* x, unsigned rows) {}"
        for source, message in [
                (kernel, "no '// launch"),
                ("// launch: grid rows; block 32\n" + kernel, "not of the form"),
                ("// launch: grid columns; block 32; shared 0\n" + kernel, "names columns, which it does not take; it takes rows, x"),
                ("// launch: grid 1 x 1 x 1 x 1; block 32; shared 0\n" + kernel, "more than three"),
                ("// launch: grid rows ** 2; block 32 +; shared 0\n" + kernel, "not a formula"),
                ("// launch: grid rows; block 32; shared 0\n" + kernel.replace("_f32", "_float"), "is not hocket_<op>_<variant>_<dtype>"),
                ("// launch: grid rows; block 256; shared 0\nHOCKET_KERNEL_BOUNDS(hocket_toy_copy_f32, 128, 2)(float* x, unsigned rows) {}",
                 "starts 256 threads, its bound is 128"),
                ("int x;", "no entry point")]:
            with self.assertRaisesRegex(entries.Bad, message.replace("*", r"\*").replace("(", r"\(")):
                read(source)

    def test_formulas(self):
        self.assertEqual(entries.evaluate("ceil(rows / 4) * 2 + max(1, rows - 6)", {"rows": 9}), 9)
        for wrong in ("rows / 4", "rows.real", "__import__('os')", "rows if rows else 1"):
            with self.assertRaises(entries.Bad):
                entries.evaluate(wrong, {"rows": 9})


    def test_a_launch_that_is_not_what_its_comment_says(self):
        copy = read(ROOM)[0]
        sizes = {"rows": 9, "heads": 2, "columns": 5}
        self.assertEqual(list(launches.wrong(copy, sizes, [3, 2, 1], [32, 4, 1], [20])), [])
        self.assertEqual(len(list(launches.wrong(copy, sizes, [2, 2, 1], [32, 4, 1], [0]))), 2)


class Verdict(unittest.TestCase):
    declared = [{"name": "hocket_toy_spill_f32", "operation": "toy"}, {"name": "hocket_toy_call_f32", "operation": "toy"},
                {"name": "hocket_toy_stack_f32", "operation": "toy"}]

    def setUp(self):
        self.output = (SAMPLES / "toys_sm_90.txt").read_text(encoding="utf-8")
        self.names = [entry["name"] for entry in self.declared]

    def test_spills_and_warnings_are_problems(self):
        _, problems = kernels.judge("toy", "sm_90", {"entries": self.names, "ptxas": self.output}, self.declared)
        self.assertIn("hocket_toy_spill_f32 for sm_90 spills: 92 bytes stored, 92 loaded", problems)
        self.assertEqual(sum("ptxas warning" in problem for problem in problems), 2)

    def test_an_entry_point_that_the_source_reader_missed_is_a_problem(self):
        _, problems = kernels.judge("toy", "sm_90", {"entries": self.names, "ptxas": self.output}, self.declared[:2])
        self.assertIn("toy for sm_90: hocket_toy_stack_f32 is in the PTX, not in the source", problems)
        _, problems = kernels.judge("toy", "sm_90", {"entries": self.names[1:], "ptxas": self.output}, self.declared)
        self.assertIn("toy for sm_90: hocket_toy_spill_f32 is in the source, not in the PTX", problems)

    def test_budgets(self):
        usage = ptxas.Usage("hocket_toy_copy_f32", "sm_80", 40, 256, 0, 0, 0)
        table = {("hocket_toy_copy_f32", "sm_80"): {"registers": 40, "shared": 256, "stack": 0}}
        self.assertEqual(kernels.read_budgets(kernels.print_budgets(table, "13.0")), table)
        self.assertEqual(list(kernels.over_budget([usage], table)), [])
        self.assertEqual(list(kernels.over_budget([usage._replace(registers=41)], table)),
                         ["hocket_toy_copy_f32 for sm_80 uses 41 registers, its budget is 40"])
        self.assertRegex(list(kernels.over_budget([usage._replace(arch="sm_90")], table))[0], "for sm_90 has no budget: run .* --update")

    def test_the_committed_table_covers_every_entry_point_and_architecture(self):
        budgets = kernels.read_budgets(kernels.BUDGETS.read_text(encoding="utf-8"))
        wanted = {(entry["name"], arch) for entry in entries.all_entries(CXX) for arch in kernels.ARCHITECTURES}
        self.assertEqual(sorted(wanted ^ set(budgets)), [], "run tests/nvcc/kernels.py check --every-arch --update")

    def test_without_nvcc_it_is_a_skip(self):
        out = io.StringIO()
        with mock.patch.object(kernels, "find_nvcc", return_value=None), contextlib.redirect_stdout(out):
            self.assertEqual(kernels.main(["check"]), kernels.SKIPPED)
        self.assertIn("skipped: nvcc was not found", out.getvalue())

    @unittest.skipUnless(os.name == "posix", "a shell script stands in for nvcc")
    def test_an_unchanged_unit_is_not_compiled_again(self):
        with tempfile.TemporaryDirectory() as folder:
            tools = Path(folder)
            (tools / "nvcc").write_text('#!/bin/sh\necho run >> "%s/runs"\nwhile [ "$1" != -o ]; do shift; done\n'
                                        "echo '.visible .entry hocket_softmax_forward_f32(' > \"$2\"\n" % folder, encoding="utf-8")
            (tools / "ptxas").write_text("#!/bin/sh\necho said\n", encoding="utf-8")
            for tool in ("nvcc", "ptxas"):
                (tools / tool).chmod(0o755)
            first = kernels.compiled("softmax", "sm_80", str(tools / "nvcc"), "1", tools)
            self.assertEqual(first, {"entries": ["hocket_softmax_forward_f32"], "ptxas": "said\n"})
            self.assertEqual(kernels.compiled("softmax", "sm_80", str(tools / "nvcc"), "1", tools), first)
            self.assertEqual((tools / "runs").read_text(encoding="utf-8"), "run\n")
            kernels.compiled("softmax", "sm_80", str(tools / "nvcc"), "2", tools)  # another compiler
            self.assertEqual((tools / "runs").read_text(encoding="utf-8"), "run\nrun\n")


if __name__ == "__main__":
    unittest.main()
