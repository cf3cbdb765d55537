#include "experiments/support/driver.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <regex>
#include <set>

#include <CLI/CLI.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hocket/measure/build.hpp>
#include <hocket/measure/machine.hpp>
#include <hocket/measure/record_json.hpp>

#include "experiments/support/case_process.hpp"
#include "experiments/support/progress.hpp"
#include "experiments/support/store.hpp"
#include "record_schema.hpp"

extern char** environ;

namespace hocket::experiments {

namespace {

using measure::json;
namespace fs = std::filesystem;

// ---- the command line
// -------------------------------------------------------------------------------------------------

struct command_line {
  run_options options;
  std::string methods, backend_name = "cpu", shard;
  std::vector<std::string> paths;
  std::string out = "report";
};

void add_case_flags(CLI::App& app, command_line& line) {
  run_options& o = line.options;
  app.add_flag("--quick", o.quick, "minutes instead of hours: embedded or small data, fewer values");
  app.add_option("--seeds", o.seeds_flag, "a count (5: seeds 0 to 4) or a list (1,2,3)");
  app.add_option("--filter", o.filter, "regular expression, searched in the case names");
  app.add_option("--method", line.methods, "comma-separated methods; list names them");
  app.add_option("--threads", o.threads, "threads a case may use")->capture_default_str();
  app.add_option("--backend", line.backend_name, "cpu or cuda")->capture_default_str();
  app.add_option("--results", o.results, "folder of the records")->capture_default_str();
  app.add_option("--data", o.data, "folder of the data sets (else $HOCKET_DATA, else the experiment's own)");
  app.add_option("--shard", line.shard, "i/n: every n-th case from the i-th (0-based)");
}

std::vector<std::string> split(const std::string& list, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

void finish(command_line& line) {
  run_options& o = line.options;
  if (!line.methods.empty()) o.methods = split(line.methods, ',');
  if (o.data.empty())
    if (const char* data = std::getenv("HOCKET_DATA")) o.data = data;
  expects(o.threads >= 1 && o.threads <= most_threads, errc::bad_option, "--threads ", o.threads, ": expected 1 to ",
          most_threads);
  if (line.backend_name == "cuda")
    o.backend = backend::cuda;
  else
    expects(line.backend_name == "cpu", errc::bad_option, "--backend ", line.backend_name, ": expected cpu or cuda");
  if (!line.shard.empty()) {
    const auto parts = split(line.shard, '/');
    expects(parts.size() == 2, errc::bad_option, "--shard ", line.shard, ": expected i/n, as in 0/4");
    o.shard = hocket::detail::option_from_text<std::size_t>("--shard i", parts[0]);
    o.shards = hocket::detail::option_from_text<std::size_t>("--shard n", parts[1]);
    expects(o.shard < o.shards, errc::bad_option, "--shard ", line.shard, ": i counts from 0 to n - 1");
  }
  o.seeds(1);  // refuses a malformed list before anything runs
}

/// Names of a parser's options, for the message after a wrong one.
std::string known_options(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : app.get_options()) out += text(out.empty() ? "" : ", ", option->get_name());
  return out;
}

// ---- the cases
// --------------------------------------------------------------------------------------------------------

struct planned_case {
  case_spec spec;
  measure::record_head head;
  std::string key;
};

std::vector<std::string> methods_of(const std::vector<case_spec>& cases) {
  std::set<std::string> names;
  for (const auto& c : cases)
    if (!c.method.empty() && c.method != "all") names.insert(c.method);
  return {names.begin(), names.end()};
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += text(out.empty() ? "" : ", ", name);
  return out;
}

/// What no experiment may do, checked before anything runs.
void refuse_unfair(const std::vector<case_spec>& cases) {
  std::map<std::string, const case_spec*> family;
  std::set<std::string> names;
  for (const auto& c : cases) {
    expects(names.insert(c.name).second, errc::bad_option, "two cases are named ", c.name);
    if (c.kind == measure::record_kind::quality)
      expects(c.protocol.has_value(), errc::bad_option, c.name, ": a quality case needs a protocol");
    if (!c.protocol) continue;
    const measure::protocol& p = *c.protocol;
    expects(p.selection_split == "valid", errc::bad_option, c.name, ": selects on '", p.selection_split,
            "'; selection happens on validation data ('valid'), never on test data");
    expects(p.test_split == "test", errc::bad_option, c.name, ": tests on '", p.test_split, "'; expected 'test'");
    const auto [first, is_new] = family.emplace(p.family, &c);
    if (!is_new)
      expects(first->second->protocol->tuning_trials == p.tuning_trials, errc::bad_option, c.name, " tries ",
              p.tuning_trials.value_or(0), " configurations, ", first->second->name, " of the same family tries ",
              first->second->protocol->tuning_trials.value_or(0), "; methods that are compared get equal budgets");
  }
}

struct context {
  const experiment& what;
  measure::provenance provenance;
  measure::machine machine;
};

context make_context(const experiment& what, int argc, char** argv) {
  context c{what, measure::describe_build(), measure::describe_machine()};
  c.provenance.code_digest = measure::sha256_of_file("/proc/self/exe");
  c.provenance.command.push_back(fs::path(argv[0]).filename().string());  // not where it lies: records are published
  for (int i = 1; i < argc; ++i) c.provenance.command.emplace_back(argv[i]);
  return c;
}

/// The selected cases of this shard, in the experiment's order.
std::vector<planned_case> plan_cases(const context& ctx, const run_options& o) {
  std::vector<case_spec> all = ctx.what.cases(o);
  for (auto& c : all)
    if (o.backend != backend::cpu) c.name += text("/backend=", name_of(o.backend));
  refuse_unfair(all);
  const auto methods = methods_of(all);
  for (const auto& wanted : o.methods)
    expects(std::find(methods.begin(), methods.end(), wanted) != methods.end(), errc::bad_option, "unknown method ",
            wanted, "; known are: ", joined(methods));
  std::regex filter;
  try {
    filter = std::regex(o.filter);
  } catch (const std::regex_error& problem) {
    fail(errc::bad_option, "--filter ", o.filter, ": not a regular expression: ", problem.what());
  }
  std::vector<planned_case> selected;
  for (auto& c : all) {
    const bool method_fits = o.methods.empty() || c.method == "all" ||
                             std::find(o.methods.begin(), o.methods.end(), c.method) != o.methods.end();
    if (!method_fits || !std::regex_search(c.name, filter)) continue;
    planned_case p;
    p.spec = std::move(c);
    p.head = {ctx.what.name, p.spec.name, p.spec.kind, p.spec.options, p.spec.seed, p.spec.protocol, p.spec.data};
    if (!p.spec.method.empty()) p.head.options.set("method", p.spec.method);
    p.head.options.set("backend", name_of(o.backend));
    p.spec.options = p.head.options;
    p.key = measure::key_of(to_json(p.head), ctx.provenance.code_digest, ctx.machine.fingerprint);
    selected.push_back(std::move(p));
  }
  std::string known;
  for (const auto& c : all) known += text("\n  ", c.name);
  expects(!selected.empty(), errc::bad_option, "no case matches", o.filter.empty() ? "" : " --filter ", o.filter,
          all.empty() ? "; the experiment has none with these flags" : "; known are:", known);
  std::map<std::string, std::string> keys;
  for (const auto& p : selected) {
    const auto [other, is_new] = keys.emplace(p.key, p.spec.name);
    expects(is_new, errc::bad_option, p.spec.name, " and ", other->second,
            " have the same configuration, seed and data: whatever tells them apart belongs into the configuration");
  }
  std::vector<planned_case> shard;
  for (std::size_t i = o.shard; i < selected.size(); i += o.shards) shard.push_back(std::move(selected[i]));
  return shard;
}

std::string missing_data(const case_spec& c) {
  std::string out;
  for (const auto& d : c.data)
    if (!d.missing.empty()) out += text(out.empty() ? "" : "; ", d.name, ": ", d.missing);
  return out;
}

/// Empty, or the error that keeps every case from running on this backend.
std::optional<measure::record_error> backend_problem(backend where) {
  try {
    require_backend(where);
    return std::nullopt;
  } catch (const error& problem) {
    return measure::record_error{std::string(name_of(problem.kind())), problem.what(), {}};
  }
}

// ---- verbs
// ------------------------------------------------------------------------------------------------------------

int list(const context& ctx, const run_options& o) {
  std::cout << ctx.what.name << ": " << ctx.what.question << "\n";
  for (const auto& a : ctx.what.axes) std::cout << "axis\t" << a.name << "\t" << a.values << "\n";
  const auto cases = ctx.what.cases(o);
  for (const auto& m : methods_of(cases)) std::cout << "method\t" << m << "\n";
  for (const auto& v : ctx.what.verbs) std::cout << "verb\t" << v.name << "\t" << v.summary << "\n";
  for (const auto& c : cases) std::cout << "case\t" << c.name << "\t" << name_of(c.kind) << "\n";
  return exit_ok;
}

int plan(const context& ctx, const run_options& o) {
  const auto cases = plan_cases(ctx, o);
  record_store store(o.results, ctx.what.name);
  const auto problem = backend_problem(o.backend);
  double left = 0;
  std::size_t cached = 0, runnable = 0;
  for (const auto& c : cases) {
    std::string state = "run";
    const std::string missing = missing_data(c.spec);
    const double cost = store.earlier_wall_s(c.spec.name).value_or(c.spec.cost_s);
    if (store.finished(c.key) && !o.force)
      state = "cached", ++cached;
    else if (problem)
      state = "not run: " + problem->kind;
    else if (!missing.empty())
      state = "not run: " + missing;
    else
      left += cost, ++runnable;
    std::printf("%s\t%.1f s\t%s\n", state.c_str(), cost, c.spec.name.c_str());
  }
  std::printf("total\t%zu cases, %zu cached, %zu to run in about %s\n", cases.size(), cached, runnable,
              clock_text(left).c_str());
  if (ctx.what.resolution_of)
    for (const auto& r : ctx.what.resolution_of(o))
      std::printf(
          "resolution\t%s\t%zu items in %zu independent units\tsmallest difference in %s found with 80 %% probability: "
          "%.4f\n",
          r.what.c_str(), r.items, r.units, r.metric.c_str(), r.difference);
  return exit_ok;
}

int status(const context& ctx, const run_options& o) {
  const auto cases = plan_cases(ctx, o);
  record_store store(o.results, ctx.what.name);
  std::map<std::string, std::size_t> counts;
  for (const auto& c : cases) {
    store.finished(c.key);
    const stored_record* stored = store.find(c.key);
    const std::string state = stored ? stored->status : "open";
    ++counts[state];
    std::printf("%s\t%s\t%s\n", state.c_str(), c.spec.name.c_str(), stored ? stored->path.c_str() : "-");
  }
  std::string summary = text(cases.size(), " cases");
  for (const auto& [state, count] : counts) summary += text(", ", count, " ", state);
  std::printf("total\t%s\n", summary.c_str());
  for (const auto& line : store.damaged()) std::fprintf(stderr, "damaged: %s\n", line.c_str());
  return exit_ok;
}

bool gate_failed(const json& record) {
  for (const auto& row : record.value("ratios", json::array()))
    if (row.contains("met") && row.at("met").is_boolean() && !row.at("met").get<bool>()) return true;
  for (const auto& row : record.value("parity", json::array()))
    if (!row.at("ok").get<bool>()) return true;
  return false;
}

/// The record of one outcome. A result that breaks the schema is a failure of the case, not a file on disk.
json finished_record(const context& ctx, const planned_case& c, const case_outcome& outcome) {
  measure::record r;
  r.head = c.head;
  r.status = outcome.status;
  r.error = outcome.error;
  r.wall_s = outcome.wall_s;
  r.rss_peak_bytes = outcome.rss_peak_bytes;
  r.provenance = ctx.provenance;
  r.provenance.created_utc = measure::utc_now();
  r.machine = ctx.machine;
  json out = to_json(r);
  out.merge_patch(outcome.body);
  static const json schema = json::parse(record_schema_text);
  const auto wrong = measure::record_violations(out, schema);
  if (wrong.empty()) return out;
  r.status = measure::record_status::failed;
  r.error = {"invalid_record", joined(wrong), {}};
  return to_json(r);
}

int run(const context& ctx, const run_options& o) {
  const auto cases = plan_cases(ctx, o);
  record_store store(o.results, ctx.what.name);
  for (const auto& line : store.damaged()) std::fprintf(stderr, "damaged, run anew: %s\n", line.c_str());
  const auto problem = backend_problem(o.backend);

  std::vector<double> expected(cases.size(), 0);
  double total = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const bool runs = (o.force || !store.finished(cases[i].key)) && !problem && missing_data(cases[i].spec).empty();
    if (runs) expected[i] = store.earlier_wall_s(cases[i].spec.name).value_or(cases[i].spec.cost_s);
    total += expected[i];
  }
  progress shown(cases.size(), total);
  hold_signals();
  std::map<std::string, std::size_t> counts;
  std::set<std::string> missing_sets;
  bool failed = false, no_backend = false, gate = false, embedded = false;
  std::size_t without_data = 0;
  std::vector<std::string> rows;

  for (std::size_t i = 0; i < cases.size(); ++i) {
    const planned_case& c = cases[i];
    const std::string missing = missing_data(c.spec);
    fs::path path;
    std::string said;
    bool bad = false;
    double took = 0;
    const stored_record* done = o.force ? nullptr : store.finished(c.key);
    if (done) {
      said = "reused";
      path = done->path;
      gate = gate || gate_failed(measure::read_json(path));
    } else if (interrupt_pending()) {
      store.journal("interrupt", c.spec.name, c.key);
      shown.line("interrupted; the same command continues");
      return exit_interrupted;
    } else if (problem || !missing.empty()) {
      case_outcome outcome;
      outcome.status = measure::record_status::not_run;
      outcome.error = problem ? *problem : measure::record_error{"data_missing", missing, {}};
      said = "not run: " + outcome.error->kind;
      no_backend = no_backend || problem;
      if (!problem) ++without_data, missing_sets.insert(missing);
      const bool had_result = store.earlier_wall_s(c.spec.name).has_value();
      if (!had_result) path = store.write(finished_record(ctx, c, outcome));  // never puts a finished result aside
    } else {
      store.journal("begin", c.spec.name, c.key);
      const case_outcome outcome = run_case(c.head, c.spec, o, ctx.provenance.code_digest);
      if (outcome.interrupted) {
        store.journal("interrupt", c.spec.name, c.key);
        shown.line("interrupted; the same command continues");
        return exit_interrupted;
      }
      const json record = finished_record(ctx, c, outcome);
      path = store.write(record);
      const std::string state = record.at("status").get<std::string>();
      store.journal("end", c.spec.name, c.key);
      took = outcome.wall_s;
      bad = state == "failed";
      failed = failed || bad;
      no_backend = no_backend || state == "not_run";
      gate = gate || gate_failed(record);
      said = state == "ok" ? text("ok ", std::round(took * 100) / 100, " s")
                           : text(state, ": ", record.at("error").at("kind").get<std::string>(), ": ",
                                  record.at("error").at("message").get<std::string>());
    }
    for (const auto& d : c.spec.data) embedded = embedded || (d.embedded && missing.empty());
    ++counts[said.substr(0, said.find_first_of(" :"))];
    shown.step(c.spec.name, said, expected[i], took, bad);
    rows.push_back(text(said.substr(0, said.find('\n')), "\t", c.spec.name, "\t", path.empty() ? "-" : path.string()));
  }
  for (const auto& row : rows) std::cout << row << "\n";
  std::string summary = text(cases.size(), " cases");
  for (const auto& [state, count] : counts) summary += text(", ", count, " ", state == "not" ? "not run" : state);
  shown.line(summary + "; records in " + store.folder().string());
  for (const auto& line : missing_sets) shown.line("warning: skipped, data missing: " + line);
  if (embedded) shown.line("warning: the embedded data set stood in for some cases; see README for the full sets");
  if (no_backend) return exit_no_backend;
  if (failed) return exit_failed_cases;
  if (without_data == cases.size()) return exit_data;
  return gate ? exit_gate_failed : exit_ok;
}

std::vector<fs::path> record_files(const std::vector<std::string>& paths) {
  std::vector<fs::path> files;
  for (const auto& given : paths) {
    if (!fs::is_directory(given)) {
      files.emplace_back(given);
      continue;
    }
    std::vector<fs::path> below;
    for (auto at = fs::recursive_directory_iterator(given); at != fs::recursive_directory_iterator(); ++at) {
      const std::string name = at->path().filename().string();
      const bool hidden = name.front() == '.' || name.front() == '_';
      if (hidden && at->is_directory()) at.disable_recursion_pending();
      if (!hidden && at->is_regular_file() && at->path().extension() == ".json") below.push_back(at->path());
    }
    expects(!below.empty(), errc::bad_file, given, ": no record in this folder");
    std::sort(below.begin(), below.end());
    files.insert(files.end(), below.begin(), below.end());
  }
  return files;
}

int validate(const std::vector<std::string>& paths) {
  const json schema = json::parse(record_schema_text);
  bool unreadable = false, invalid = false;
  const auto files = record_files(paths);
  for (const auto& file : files) {
    try {
      const json record = measure::read_json(file);
      const auto wrong = measure::record_violations(record, schema);
      for (const auto& line : wrong) std::cout << file.string() << ": " << line << "\n";
      invalid = invalid || !wrong.empty();
    } catch (const error& problem) {
      std::cout << problem.what() << "\n";
      unreadable = true;
    }
  }
  if (!unreadable && !invalid) std::cout << files.size() << " valid records\n";
  return unreadable ? exit_data : invalid ? exit_gate_failed : exit_ok;
}

int report(const run_options& o, const std::string& out) {
  const char* home = std::getenv("HOCKET_HOME");
  const fs::path script = fs::path(home ? home : HOCKET_SOURCE_DIR) / "reports" / "render.py";
  expects(fs::exists(script), errc::bad_file, script.string(), ": not found; set HOCKET_HOME to a checkout of hocket");
  const char* chosen = std::getenv("HOCKET_PYTHON");
  const std::string python = chosen ? chosen : "python3", results = o.results.string();
  const char* argv[] = {python.c_str(), script.c_str(), "--results", results.c_str(), "--out", out.c_str(), nullptr};
  pid_t child = 0;
  const int problem = posix_spawnp(&child, python.c_str(), nullptr, nullptr, const_cast<char* const*>(argv), environ);
  expects(problem == 0, errc::not_built, python, " cannot be started: ", std::strerror(problem),
          "; set HOCKET_PYTHON to a Python with matplotlib");
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : exit_failed_cases;
}

void print_version(const std::string& program) {
  std::cout << program << " (hocket " << version << ")\ncompiler " << measure::compiler() << "\nbuild "
            << HOCKET_BUILD_TYPE << " " << HOCKET_BUILD_FLAGS << "\n";
  for (const auto& [name, known] : measure::libraries()) std::cout << name << " " << known << "\n";
}

int exit_code_of(errc kind) {
  switch (kind) {
    case errc::bad_option:
    case errc::unsupported_shape: return exit_usage;
    case errc::bad_file:
    case errc::bad_value: return exit_data;
    case errc::no_device:
    case errc::not_built: return exit_no_backend;
    case errc::out_of_memory:
    case errc::bad_pointer:
    case errc::misaligned: return exit_failed_cases;
  }
  return exit_failed_cases;
}

int dispatch(int argc, char** argv, const experiment& what) {
  CLI::App app(what.question, what.name);
  command_line line;
  app.add_flag_callback(
      "--version",
      [&] {
        print_version(what.name);
        throw CLI::Success();
      },
      "version, compiler, libraries");
  app.require_subcommand(1);
  std::map<std::string, std::function<int()>> actions;
  const auto driver_verb = [&](const char* name, const char* summary, auto&& action) {
    CLI::App* sub = app.add_subcommand(name, summary);
    add_case_flags(*sub, line);
    actions[name] = [&, action] {
      finish(line);
      return action(make_context(what, argc, argv));
    };
    return sub;
  };
  driver_verb("list", "the question, its axes, methods and cases",
              [&](const context& c) { return list(c, line.options); });
  driver_verb("plan", "what run would do, how long, and what the data can resolve", [&](const context& c) {
    return plan(c, line.options);
  })->add_flag("--force", line.options.force, "as if nothing were finished");
  CLI::App* run_verb =
      driver_verb("run", "run the cases that are not finished", [&](const context& c) { return run(c, line.options); });
  run_verb->add_flag("--force", line.options.force, "run finished cases again");
  run_verb->add_option("--timeout", line.options.timeout_s,
                       "seconds after which a case is killed (else its own limit)");
  run_verb->add_option("--memory-mb", line.options.memory_mb, "address space a case may use");
  driver_verb("status", "which cases are finished, failed, open",
              [&](const context& c) { return status(c, line.options); });
  CLI::App* validate_verb = app.add_subcommand("validate", "check records against the schema and against themselves");
  validate_verb->add_option("PATH", line.paths, "record files or folders")->required();
  actions["validate"] = [&] { return validate(line.paths); };
  CLI::App* report_verb = app.add_subcommand("report", "render index.html and report.md from the records");
  report_verb->add_option("--results", line.options.results, "folder of the records")->capture_default_str();
  report_verb->add_option("--out", line.out, "folder of the report")->capture_default_str();
  actions["report"] = [&] { return report(line.options, line.out); };
  for (const auto& v : what.verbs) {
    CLI::App* sub = app.add_subcommand(v.name, v.summary);
    actions[v.name] = v.declare(*sub);
  }

  std::vector<std::string> verbs;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    verbs.push_back(sub->get_name());
  if (argc < 2 || (argv[1][0] != '-' && !actions.contains(argv[1]))) {
    std::cerr << what.name << ": " << (argc < 2 ? "no verb" : text("unknown verb ", argv[1]))
              << "; known are: " << joined(verbs) << "\n";
    return exit_usage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    if (problem.get_exit_code() == 0) return app.exit(problem);
    const auto chosen = app.get_subcommands();
    std::cerr << what.name << ": " << problem.what()
              << "\nknown are: " << known_options(chosen.empty() ? app : *chosen.front()) << "\n";
    return exit_usage;
  }
  const int code = actions.at(app.get_subcommands().front()->get_name())();
  std::cout.flush();
  expects(std::cout.good(), errc::bad_file, "what was said on standard output could not be written: is the disk full?");
  return code;
}

}  // namespace

std::vector<std::int64_t> run_options::seeds(std::size_t default_count) const {
  std::vector<std::int64_t> out;
  if (seeds_flag.find(',') != std::string::npos) {
    for (const auto& part : split(seeds_flag, ',')) {
      out.push_back(hocket::detail::option_from_text<std::int64_t>("--seeds", part));
      expects(std::count(out.begin(), out.end(), out.back()) == 1, errc::bad_option, "--seeds ", seeds_flag, ": ", part,
              " stands there twice");
    }
    return out;
  }
  const std::size_t count =
      seeds_flag.empty() ? default_count : hocket::detail::option_from_text<std::size_t>("--seeds", seeds_flag);
  expects(count >= 1 && count <= 100000, errc::bad_option, "--seeds ", seeds_flag,
          ": expected a count >= 1 or a list as 1,2,3");
  for (std::size_t i = 0; i < count; ++i) out.push_back(static_cast<std::int64_t>(i));
  return out;
}

int main_of(int argc, char** argv, const experiment& what) {
  try {
    if (argc >= 2 && std::string_view(argv[1]) == case_verb) return case_main(argc, argv, what);
    return dispatch(argc, argv, what);
  } catch (const error& problem) {
    std::cerr << what.name << ": " << name_of(problem.kind()) << ": " << problem.what() << "\n";
    return exit_code_of(problem.kind());
  } catch (const std::exception& problem) {
    std::cerr << what.name << ": " << problem.what() << "\n";
    return exit_failed_cases;
  }
}

}  // namespace hocket::experiments
