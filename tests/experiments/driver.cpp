// The promises of experiments/support/driver.hpp, on a toy experiment run as a program.
#include <set>

#include <nlohmann/json.hpp>

#include <hocket/core/rng.hpp>

#include "experiments/program.hpp"

using nlohmann::json;
using program::scratch;
using program::toy;
using program::fs::path;

namespace {

/// The records below <folder>/results by case name, without the fields that tell of time.
std::map<std::string, json> records_of(const scratch& folder, const char* results = "results") {
  std::map<std::string, json> out;
  const path records = folder.path / results / "toy_experiment";
  if (!program::fs::exists(records)) return out;
  for (const auto& entry : program::fs::directory_iterator(records)) {
    if (entry.path().extension() != ".json") continue;
    json r = json::parse(program::read(entry.path()));  // throws on a damaged file
    CHECK(entry.path().stem() == r.at("key").get<std::string>());
    r.erase("wall_s");
    r.erase("memory");
    r.at("provenance").erase("created_utc");
    r.at("provenance").erase("command");
    r.at("machine").erase("load_average");
    CHECK(out.emplace(r.at("case").get<std::string>(), r).second);
  }
  return out;
}

std::size_t count_lines(const path& file) { return program::lines(program::read(file)).size(); }

}  // namespace

TEST_CASE("run, then everything is reused, then forced", "[experiments][driver]") {
  const scratch folder;
  const program::environment log = {{"TOY_LOG", (folder.path / "log").string()}};
  const auto first = toy(folder, {"run"}, log);
  CHECK(first.code == 0);
  CHECK(program::lines(first.out).size() == 12);  // data on stdout: one row per case
  CHECK(first.err.find("[12/12]") != std::string::npos);
  CHECK(first.err.find("ETA") != std::string::npos);
  CHECK(first.err.find('\033') == std::string::npos);  // no colour into a file
  CHECK(count_lines(folder.path / "log") == 12);
  const auto records = records_of(folder);
  CHECK(records.size() == 12);
  CHECK(toy(folder, {"validate", "results"}).code == 0);

  const auto second = toy(folder, {"run"}, log);
  CHECK(second.code == 0);
  CHECK(second.says("12 reused"));
  CHECK(count_lines(folder.path / "log") == 12);

  // Modification times mean nothing.
  for (const auto& entry : program::fs::recursive_directory_iterator(folder.path / "results"))
    program::fs::last_write_time(entry.path(), program::fs::file_time_type::clock::now());
  CHECK(toy(folder, {"run"}, log).says("12 reused"));

  CHECK(toy(folder, {"run", "--force"}, log).code == 0);
  CHECK(count_lines(folder.path / "log") == 24);
  CHECK(records_of(folder) == records);
}

TEST_CASE("filter, methods, seeds and quick choose cases", "[experiments][driver]") {
  const scratch folder;
  const auto count = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), "plan");
    const auto said = toy(folder, flags);
    INFO(said.err);
    CHECK(said.code == 0);
    const auto all = program::lines(said.out);
    return std::count_if(all.begin(), all.end(), [](const std::string& line) { return line.rfind("run\t", 0) == 0; });
  };
  CHECK(count({}) == 12);
  CHECK(count({"--quick"}) == 4);
  CHECK(count({"--method", "clever"}) == 6);
  CHECK(count({"--method", "clever,plain"}) == 12);
  CHECK(count({"--filter", "seed=[01]$"}) == 4);
  CHECK(count({"--seeds", "3"}) == 6);
  CHECK(count({"--seeds", "5,9,7"}) == 6);
  CHECK(count({"--shard", "1/5"}) == 3);
  CHECK_FALSE(program::fs::exists(folder.path / "results"));  // a plan writes nothing
}

TEST_CASE("plan says what is cached and what the data resolve", "[experiments][driver]") {
  const scratch folder;
  CHECK(toy(folder, {"run", "--method", "plain"}).code == 0);
  const auto plan = toy(folder, {"plan"});
  CHECK(plan.says("12 cases, 6 cached, 6 to run"));
  CHECK(plan.says("0.1250"));
  const auto status = toy(folder, {"status"});
  CHECK(status.code == 0);
  CHECK(status.says("12 cases, 6 ok, 6 open"));
  const auto list = toy(folder, {"list"});
  CHECK(list.says("Does the driver keep its promises?"));
  CHECK(list.says("verb\tdouble"));
}

TEST_CASE("wrong use: exit 2 and the list of what is known", "[experiments][driver]") {
  const scratch folder;
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& known) {
    const auto said = toy(folder, arguments);
    INFO(Catch::StringMaker<std::vector<std::string>>::convert(arguments) << said.err);
    CHECK(said.code == 2);
    CHECK(said.err.find(known) != std::string::npos);
    CHECK(said.out.empty());
  };
  refused({}, "known are: list, plan, run, status, validate, report, double");
  refused({"rnu"}, "known are: list, plan");
  refused({"run", "--sedes", "3"}, "--seeds");
  refused({"run", "extra"}, "--seeds");
  refused({"run", "--method", "smart"}, "known are: clever, plain");
  refused({"run", "--filter", "nothing"}, "toy/plain/seed=0");
  refused({"run", "--filter", "("}, "regular expression");
  refused({"run", "--seeds", "0"}, "--seeds");
  refused({"run", "--seeds", "1,x"}, "--seeds");
  refused({"run", "--seeds", "1,1"}, "twice");
  refused({"run", "--shard", "2/2"}, "0 to n - 1");
  refused({"run", "--shard", "2"}, "i/n");
  refused({"run", "--threads", "0"}, "expected 1 to 4096");
  refused({"run", "--threads", "many"}, "--threads");
  refused({"run", "--backend", "tpu"}, "cpu or cuda");
  refused({"validate"}, "PATH");
  refused({"double"}, "NUMBER");
  refused({"double", "--fast", "3"}, "NUMBER");
  CHECK_FALSE(program::fs::exists(folder.path / "results"));
}

TEST_CASE("output that cannot be written is an error", "[experiments][driver]") {
  if (!program::fs::exists("/dev/full")) {
    WARN("skipped: this system has no /dev/full");
    return;
  }
  const scratch folder;
  for (const char* verb : {"list", "plan"}) {
    const auto said = toy(folder, {verb}, {{"STDOUT_TO", "/dev/full"}});
    CHECK(said.code == 4);
    CHECK(said.err.find("standard output") != std::string::npos);
  }
}

TEST_CASE("what an experiment may not do is refused before anything runs", "[experiments][driver]") {
  const scratch folder;
  const auto peeks = toy(folder, {"run"}, {{"TOY_MODE", "peeks"}});
  CHECK(peeks.code == 2);
  CHECK(peeks.says("never on test data"));
  const auto unequal = toy(folder, {"run"}, {{"TOY_MODE", "unequal"}});
  CHECK(unequal.code == 2);
  CHECK(unequal.says("equal budgets"));
  const auto same = toy(folder, {"run"}, {{"TOY_MODE", "same"}});
  CHECK(same.code == 2);
  CHECK(same.says("same configuration"));
  CHECK_FALSE(program::fs::exists(folder.path / "results"));
}

TEST_CASE("a broken case is recorded, the others go on, exit 3", "[experiments][driver]") {
  const auto failing = [](const char* mode, const std::vector<std::string>& flags, const char* kind, int signal,
                          const char* message) {
    const scratch folder;
    std::vector<std::string> arguments = {"run"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const auto said = toy(folder, arguments, {{"TOY_MODE", mode}});
    INFO(mode << ": " << said.err);
    CHECK(said.code == 3);
    const auto records = records_of(folder);
    CHECK(records.size() == 12);
    for (const auto& [name, r] : records) CHECK(r.at("status") == (name == "toy/plain/seed=1" ? "failed" : "ok"));
    const json& error = records.at("toy/plain/seed=1").at("error");
    CHECK(error.at("kind") == kind);
    CHECK(error.at("message").get<std::string>().find(message) != std::string::npos);
    if (signal) CHECK(error.at("signal") == signal);
    CHECK(toy(folder, {"validate", "results"}).code == 0);
    CHECK(toy(folder, {"status"}).says("1 failed, 11 ok"));
    const auto again = toy(folder, {"run"});  // what broke it is gone: only that case runs
    CHECK(again.code == 0);
    CHECK(again.says("1 ok, 11 reused"));
  };
  failing("throws", {}, "bad_value", 0, "NaN at sample 17");
#if !defined(__SANITIZE_ADDRESS__)  // the sanitizer turns the signal into an exit code, and needs its address space
  failing("crashes", {}, "crashed", SIGSEGV, "about to fall");
  failing("eats", {"--memory-mb", "512"}, "out_of_memory", 0, "bad_alloc");
#endif
  failing("hangs", {"--timeout", "3"}, "timeout", SIGKILL, "3 s");
  failing("leaves", {}, "crashed", 0, "code 7");
  failing("nan", {}, "bad_value", 0, "metrics[0].value");
  failing("malformed", {}, "invalid_record", 0, "sideways");
}

TEST_CASE("missing data are named and skipped, never replaced", "[experiments][driver]") {
  const scratch folder;
  const auto none = toy(folder, {"run"}, {{"TOY_MODE", "no_data"}});
  CHECK(none.code == 4);
  CHECK(none.says("toy-data: run scripts/fetch toy-data"));
  for (const auto& [name, r] : records_of(folder)) {
    CHECK(r.at("status") == "not_run");
    CHECK(r.at("error").at("kind") == "data_missing");
  }
  CHECK(toy(folder, {"validate", "results"}).code == 0);
  const auto some = toy(folder, {"run"}, {{"TOY_MODE", "some_data"}});
  CHECK(some.code == 0);
  CHECK(some.says("2 not run, 10 ok"));
  CHECK(toy(folder, {"run"}).code == 0);
  for (const auto& [name, r] : records_of(folder)) CHECK(r.at("status") == "ok");
  // A finished result is not put aside because its data set is away for once.
  CHECK(toy(folder, {"run"}, {{"TOY_MODE", "some_data"}}).code == 0);
  for (const auto& [name, r] : records_of(folder)) CHECK(r.at("status") == "ok");
  const auto embedded = toy(folder, {"run", "--results", "other"}, {{"TOY_MODE", "embedded"}});
  CHECK(embedded.code == 0);
  CHECK(embedded.says("embedded"));
}

TEST_CASE("a missing backend gives rows, not silence, and exit 5", "[experiments][driver]") {
  const scratch folder;
  CHECK(toy(folder, {"run"}).code == 0);
  const auto cuda = toy(folder, {"run", "--backend", "cuda"});
  CHECK(cuda.code == 5);
  CHECK((cuda.says("not run: not_built") || cuda.says("not run: no_device")));
  const auto records = records_of(folder);
  CHECK(records.size() == 24);  // beside the others
  CHECK(records.at("toy/plain/seed=0").at("status") == "ok");
  CHECK(records.at("toy/plain/seed=0/backend=cuda").at("status") == "not_run");
}

TEST_CASE("a failed gate is exit 1, also when the record is reused", "[experiments][driver]") {
  const scratch folder;
  CHECK(toy(folder, {"run"}, {{"TOY_MODE", "gate"}}).code == 1);
  CHECK(toy(folder, {"run"}, {{"TOY_MODE", "gate"}}).code == 1);
}

TEST_CASE("the shards together are the whole", "[experiments][driver]") {
  const scratch whole, parts;
  CHECK(toy(whole, {"run"}).code == 0);
  const program::environment log = {{"TOY_LOG", (parts.path / "log").string()}};
  std::vector<program::running> shards;
  for (int i = 0; i < 5; ++i)
    shards.emplace_back(parts.path, std::vector<std::string>{"run", "--shard", std::to_string(i) + "/5"}, log);
  for (auto& shard : shards) CHECK(shard.wait().code == 0);  // at the same time, into one folder
  CHECK(count_lines(parts.path / "log") == 12);
  CHECK(records_of(parts) == records_of(whole));
}

TEST_CASE("an interrupt kills the case, keeps what is finished, exit 130", "[experiments][driver]") {
  const scratch folder;
  const program::environment slow = {{"TOY_SLEEP_MS", "200"}, {"TOY_LOG", (folder.path / "log").string()}};
  program::running run(folder.path, {"run"}, slow);
  while (count_lines(folder.path / "log") < 2) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  run.signal(SIGINT);
  const auto said = run.wait();
  CHECK(said.code == 130);
  CHECK(said.says("the same command continues"));
  const auto journal = program::lines(program::read(folder.path / "results/toy_experiment/journal.jsonl"));
  CHECK(json::parse(journal.back()).at("event") == "interrupt");
  const std::size_t kept = records_of(folder).size();
  CHECK(kept >= 1);
  CHECK(kept < 12);
  const auto rest = toy(folder, {"run"}, {{"TOY_LOG", (folder.path / "log").string()}});
  CHECK(rest.code == 0);
  CHECK(rest.says(std::to_string(kept) + " reused"));
}

TEST_CASE("twenty kill -9 at random moments lose nothing finished", "[experiments][driver]") {
  const scratch whole, broken;
  CHECK(toy(whole, {"run", "--seeds", "30"}).code == 0);
  const program::environment log = {{"TOY_LOG", (broken.path / "log").string()}, {"TOY_SLEEP_MS", "40"}};
  const std::vector<std::string> command = {"run", "--seeds", "30"};
  hocket::philox random(9);
  std::map<std::string, std::string> finished;  // case -> exact bytes of its record
  std::size_t interrupted = 0;
  for (int kills = 0; kills < 20; ++kills) {
    program::running run(broken.path, command, log);
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(20 + random.next_below(130));
    while (std::chrono::steady_clock::now() < until && !run.finished())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    interrupted += !run.finished();
    run.signal(SIGKILL);
    run.wait();
    CHECK(toy(broken, {"status"}).err.empty());  // no damaged file
    for (const auto& [name, bytes] : finished) {
      const json r = json::parse(bytes);
      INFO(name);
      CHECK(program::read(broken.path / "results/toy_experiment" / (r.at("key").get<std::string>() + ".json")) ==
            bytes);
    }
    for (const auto& [name, r] : records_of(broken))
      finished.emplace(
          name, program::read(broken.path / "results/toy_experiment" / (r.at("key").get<std::string>() + ".json")));
  }
  CHECK(interrupted >= 10);  // the test did what it says
  CHECK(toy(broken, command, log).code == 0);
  CHECK(toy(broken, {"validate", "results"}).code == 0);
  CHECK(records_of(broken) == records_of(whole));

  // No finished case ran again: after a case's "end" the journal never begins it anew.
  std::set<std::string> ended;
  for (const auto& line : program::lines(program::read(broken.path / "results/toy_experiment/journal.jsonl"))) {
    const json event = json::parse(line);
    const std::string name = event.at("case").get<std::string>();
    INFO(name);
    if (event.at("event") == "begin") CHECK(ended.count(name) == 0);
    if (event.at("event") == "end") ended.insert(name);
  }
  CHECK(ended.size() >= 40);
  // Temporary files of killed drivers are hidden from every reader.
  for (const auto& entry : program::fs::directory_iterator(broken.path / "results/toy_experiment")) {
    const std::string name = entry.path().filename().string();
    CHECK((name.front() == '.' || name == "journal.jsonl" || entry.path().extension() == ".json"));
  }
}

TEST_CASE("damaged records and stages are made anew", "[experiments][driver]") {
  const scratch folder;
  CHECK(toy(folder, {"run"}).code == 0);
  const auto before = records_of(folder);
  const path victim =
      folder.path / "results/toy_experiment" / (before.at("toy/plain/seed=3").at("key").get<std::string>() + ".json");
  const std::string good = program::read(victim);
  const path stage = program::fs::directory_iterator(folder.path / "results/_cache/table")->path();
  const std::string stored = program::read(stage);
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() / 2), std::string("{\"case\": 3}"), std::string("[]")}) {
    std::ofstream(victim, std::ios::binary) << bad;
    std::string flipped = stored;
    flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
    std::ofstream(stage, std::ios::binary) << flipped;
    const auto again = toy(folder, {"run"});
    CHECK(again.code == 0);
    CHECK(again.says("damaged"));
    CHECK(again.says("1 ok, 11 reused"));
    CHECK(records_of(folder) == before);
    CHECK(program::read(stage) == stored);
  }
  // A record whose configuration was edited by hand no longer answers to its key.
  json edited = json::parse(good);
  edited.at("config").at("size") = 99;
  std::ofstream(victim, std::ios::binary) << edited.dump();
  CHECK(toy(folder, {"validate", "results"}).code == 1);
  CHECK(toy(folder, {"run"}).says("1 ok, 11 reused"));
}

TEST_CASE("a changed configuration supersedes, and the earlier one is brought back", "[experiments][driver]") {
  const scratch folder;
  const program::environment log = {{"TOY_LOG", (folder.path / "log").string()}};
  CHECK(toy(folder, {"run"}, log).code == 0);
  const auto full = records_of(folder);
  CHECK(toy(folder, {"run", "--quick"}, log).code == 0);  // the same case names with another size
  CHECK(count_lines(folder.path / "log") == 16);
  const auto mixed = records_of(folder);
  CHECK(mixed.size() == 12);
  CHECK(mixed.at("toy/plain/seed=0").at("config").at("size") == 10);
  CHECK(mixed.at("toy/plain/seed=5").at("config").at("size") == 100);
  CHECK(toy(folder, {"validate", "results"}).says("12 valid records"));
  CHECK(toy(folder, {"run"}, log).says("12 reused"));
  CHECK(count_lines(folder.path / "log") == 16);
  CHECK(records_of(folder) == full);
}

TEST_CASE("validate tells unreadable from invalid", "[experiments][driver]") {
  const scratch folder;
  CHECK(toy(folder, {"run", "--quick"}).code == 0);
  const path good = program::fs::directory_iterator(folder.path / "results/toy_experiment")->path();
  CHECK(toy(folder, {"validate", "nowhere.json"}).code == 4);
  program::fs::create_directories(folder.path / "empty");
  CHECK(toy(folder, {"validate", "empty"}).code == 4);
  const auto verdict = [&](const std::string& content) {
    std::ofstream(folder.path / "one.json") << content;
    return toy(folder, {"validate", "one.json"}).code;
  };
  CHECK(verdict("{\"value\": NaN}") == 4);
  CHECK(verdict("") == 4);
  CHECK(verdict("{}") == 1);
  CHECK(verdict("3") == 1);
  CHECK(toy(folder, {"validate", "results", "one.json"}).code == 1);
}

TEST_CASE("the published records hold what their keys say", "[experiments][driver]") {
  const scratch folder;
  const auto checked = toy(folder, {"validate", HOCKET_SOURCE_DIR "/reports/published"});
  INFO(checked.out << checked.err);
  CHECK(checked.code == 0);
}

TEST_CASE("own verbs, help and version", "[experiments][driver]") {
  const scratch folder;
  const auto twice = toy(folder, {"double", "21"});
  CHECK(twice.code == 0);
  CHECK(twice.out == "42\n");
  CHECK(toy(folder, {"double", "-1"}).code == 4);  // bad_value
  const auto help = toy(folder, {"--help"});
  CHECK(help.code == 0);
  CHECK(help.says("validate"));
  CHECK(toy(folder, {"run", "--help"}).says("--shard"));
  const auto version = toy(folder, {"--version"});
  CHECK(version.code == 0);
  for (const char* part : {"hocket 0.", "compiler", "eigen"}) CHECK(version.says(part));
}
