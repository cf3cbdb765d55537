#include <fstream>

#include <hocket/measure/build.hpp>
#include <hocket/measure/machine.hpp>
#include <hocket/measure/record_json.hpp>

#include "catch.hpp"

using namespace hocket;
using namespace hocket::measure;
namespace fs = std::filesystem;

namespace {

json schema() { return read_json(HOCKET_SOURCE_DIR "/reports/schema/record.schema.json"); }

/// A record that uses every part of the schema.
record full_record() {
  record r;
  r.head.experiment = "toy";
  r.head.name = "digits/full/k=8";
  r.head.kind = record_kind::throughput;
  r.head.options.set("k", 8).set("tol", 0.5).set("whiten", false).set("solver", "full").set("note", scalar{});
  r.head.seed = 3;
  r.head.protocol = protocol{};
  r.head.protocol->task = "digits";
  r.head.protocol->split_unit = "image";
  r.head.protocol->family = "toy";
  r.head.protocol->tuning_trials = 4;
  r.head.protocol->notes = {"none"};
  data_use data;
  data.name = "digits";
  data.version = "1";
  data.sha256 = sha256_of("digits");
  data.n_test = 5;
  data.embedded = true;
  r.head.data = {data};
  metric accuracy;
  accuracy.name = "accuracy";
  accuracy.variant = "share";
  accuracy.unit = "fraction";
  accuracy.better = "higher";
  accuracy.value = 0.1 + 0.2;
  accuracy.ci_test = {0.25, 0.35};
  accuracy.ci_method = "wilson";
  r.body.metrics = {accuracy};
  r.body.items = test_items{sha256_of("a,b"), {0, 1}, {1, 0}, {1, 1}, {"no", "yes"}};
  timing t;
  t.arm = "own";
  t.samples_ns = std::vector<double>(12, 5.5);
  t.median_ns = 5.5;
  t.ci95_ns = {5.5, 5.5};
  t.work = 1;
  t.work_unit = "rows";
  t.flops = 1e9;
  r.body.timings = {t};
  ratio q;
  q.name = "own / peer";
  q.numerator = "own";
  q.denominator = "peer";
  q.denominator_version = "1.0";
  q.value = 0.9;
  q.ci95 = {0.8, 1.0};
  q.target = 1.1;
  q.met = true;
  q.log_ratios = {std::log(0.9)};
  r.body.ratios = {q};
  parity_row p;
  p.what = "mfcc";
  p.peer = "librosa";
  p.peer_version = "0.11.0";
  p.dtype = "f64";
  p.cases = 3;
  p.max_error = 1e-12;
  p.bound = 1e-8;
  p.ok = true;
  r.body.parity = {p};
  r.body.curves = {{"error", "k", "mse", {{1, 0.5}, {2, 0.25, 0.2, 0.3}}}};
  r.body.allocations_steady = 0;
  r.wall_s = 1.5;
  r.rss_peak_bytes = 1 << 20;
  r.provenance = describe_build();
  r.provenance.created_utc = utc_now();
  r.provenance.command = {"toy", "run"};
  r.provenance.code_digest = sha256_of("code");
  r.machine = describe_machine();
  return r;
}

struct scratch_folder {
  fs::path path = fs::temp_directory_path() / text("hocket-test-record-", getpid());
  scratch_folder() { fs::create_directories(path); }
  ~scratch_folder() { fs::remove_all(path); }
};

}  // namespace

TEST_CASE("sha256 gives the values of FIPS 180-4", "[measure][sha256]") {
  CHECK(sha256_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_of(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // Any cut into pieces gives the same digest, at every length around the block.
  for (std::size_t n = 0; n < 200; ++n) {
    const std::string all(n, 'x');
    sha256 pieces;
    for (std::size_t at = 0, step = 1; at < n; at += step, step = step % 7 + 1)
      pieces.update(std::string_view(all).substr(at, step));
    CHECK(pieces.hex() == sha256_of(all));
  }
  CHECK_THROWS_AS(sha256_of_file("/nowhere"), error);
}

TEST_CASE("a full record is valid, and reads back as it was written", "[measure][record]") {
  const scratch_folder scratch;
  const json written = to_json(full_record());
  CHECK(record_violations(written, schema()).empty());
  const fs::path path = write_record(scratch.path, written);
  CHECK(path == scratch.path / "toy" / (written.at("key").get<std::string>() + ".json"));
  const json back = read_json(path);
  CHECK(back == written);
  CHECK(record_text(back) == record_text(written));
  CHECK(back.at("metrics")[0].at("value").get<double>() == 0.1 + 0.2);
  CHECK(std::distance(fs::directory_iterator(path.parent_path()), fs::directory_iterator()) == 1);

  const record_head head = head_from_json(back);
  CHECK(to_json(head).dump() == to_json(full_record().head).dump());
}

TEST_CASE("whatever a record may not be is refused", "[measure][record]") {
  const json good = to_json(full_record()), rules = schema();
  const auto refused = [&](const char* what, auto&& change) {
    INFO(what);
    json bad = good;
    change(bad);
    CHECK_FALSE(record_violations(bad, rules).empty());
  };
  refused("unknown field", [](json& r) { r["surprise"] = 1; });
  refused("unknown field below", [](json& r) { r["metrics"][0]["colour"] = "red"; });
  refused("unknown field of the machine", [](json& r) { r["machine"]["hostname"] = "x"; });
  refused("wrong type", [](json& r) { r["metrics"][0]["value"] = "0.3"; });
  refused("missing member", [](json& r) { r["metrics"][0].erase("variant"); });
  refused("wrong schema", [](json& r) { r["schema"] = "hocket.record/2"; });
  refused("unknown status", [](json& r) { r["status"] = "fine"; });
  refused("eleven samples", [](json& r) { r["timings"][0]["samples_ns"].erase(0); });
  refused("unchecked timing", [](json& r) { r["timings"][0]["checked"] = false; });
  refused("three ends of an interval", [](json& r) { r["ratios"][0]["ci95"].push_back(2); });
  refused("selection on test data", [](json& r) { r["protocol"]["selection_split"] = "test"; });
  refused("nested configuration", [](json& r) { r["config"]["list"] = json::array({1}); });
  refused("changed configuration under the old key", [](json& r) { r["config"]["k"] = 9; });
  refused("changed data under the old key", [](json& r) { r["data"][0]["sha256"] = sha256_of("other"); });
  refused("changed machine under the old key of a timed kind", [](json& r) { r["machine"]["fingerprint"] = "other"; });
  refused("malformed key", [](json& r) { r["key"] = "XYZ"; });
  refused("failed without an error", [](json& r) { r["status"] = "failed"; });
  refused("median outside its interval", [](json& r) { r["timings"][0]["median_ns"] = 7; });
  refused("items of two lengths", [](json& r) { r["items"]["predicted"].push_back(1); });
  refused("null where a number belongs", [](json& r) { r["wall_s"] = nullptr; });
  refused("not an object", [](json& r) { r = json::array(); });
}

TEST_CASE("NaN and infinity never reach a file", "[measure][record]") {
  for (const double wrong : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    record r = full_record();
    r.body.metrics[0].value = wrong;
    CHECK_THROWS_AS(to_json(r), error);
    r = full_record();
    r.body.curves[0].points[0][1] = wrong;
    CHECK_THROWS_AS(to_json(r), error);
    r = full_record();
    r.head.options.set("tol", wrong);
    CHECK_THROWS_AS(to_json(r), error);
    json j = to_json(full_record());
    j["timings"][0]["median_ns"] = wrong;
    CHECK_THROWS_AS(record_text(j), error);
  }
}

TEST_CASE("unreadable files are named", "[measure][record]") {
  const scratch_folder scratch;
  const auto refused = [&](const std::string& content) {
    std::ofstream(scratch.path / "x.json") << content;
    CHECK_THROWS_AS(read_json(scratch.path / "x.json"), error);
  };
  refused("");
  refused("{\"a\": NaN}");
  refused("{\"a\": 1");
  refused("{\"a\": 1e999}");
  CHECK_THROWS_AS(read_json(scratch.path / "missing.json"), error);
  CHECK_THROWS_AS(read_json(scratch.path), error);
}

TEST_CASE("a schema keyword that is not understood is an error", "[measure][record]") {
  std::vector<std::string> found;
  CHECK_THROWS_AS(schema_violations(1, json{{"maximum", 3}}, "x", found), error);
  CHECK_THROWS_AS(schema_violations(1, json{{"type", "float"}}, "x", found), error);
}

TEST_CASE("the key depends on what decides the result and on nothing else", "[measure][record]") {
  const record base = full_record();
  const auto key = [](const record& r) { return to_json(r).at("key").get<std::string>(); };
  const std::string first = key(base);
  record r = base;
  r.provenance.created_utc = "later";
  r.provenance.git_commit = "other";
  r.wall_s = 99;
  r.head.name = "renamed";
  r.body.metrics.clear();
  r.machine.load_average = {9};
  CHECK(key(r) == first);
  r = base;
  r.head.options = config{};  // the same options in another order
  r.head.options.set("solver", "full").set("note", scalar{}).set("whiten", false).set("tol", 0.5).set("k", 8);
  CHECK(key(r) == first);
  const auto changes = [&](auto&& change) {
    record other = base;
    change(other);
    CHECK(key(other) != first);
  };
  changes([](record& o) { o.head.options.set("k", 9); });
  changes([](record& o) { o.head.seed = 4; });
  changes([](record& o) { o.head.seed.reset(); });
  changes([](record& o) { o.head.experiment = "other"; });
  changes([](record& o) { o.head.data[0].sha256 = sha256_of("other"); });
  changes([](record& o) { o.provenance.code_digest = sha256_of("other code"); });
  changes([](record& o) { o.machine.fingerprint = "elsewhere"; });
  record quality = base, moved = base;
  quality.head.kind = moved.head.kind = record_kind::quality;
  moved.machine.fingerprint = "elsewhere";
  CHECK(key(quality) == key(moved));
}

TEST_CASE("machine and build say what they are", "[measure][machine]") {
  const machine m = describe_machine();
  CHECK(m.cores >= 1);
  CHECK(m.ram_bytes > 0);
  CHECK(m.fingerprint.size() == 12);
  CHECK(m.fingerprint == describe_machine().fingerprint);
  CHECK(m.isa == name_of(best_isa()));
  const provenance p = describe_build();
  CHECK(p.version == hocket::version);
  CHECK_FALSE(p.compiler.empty());
  CHECK_FALSE(p.libraries.empty());
  CHECK((p.git_commit == "unknown" || p.git_commit.size() == 40));
  CHECK(utc_now().size() == 20);
}

TEST_CASE("a configuration answers by type and names what it knows", "[measure][record]") {
  config c;
  c.set("k", 8).set("rate", 0.5).set("fast", true).set("name", "x");
  CHECK(c.integer("k") == 8);
  CHECK(c.size("k") == 8);
  CHECK(c.number("k") == 8);
  CHECK(c.number("rate") == 0.5);
  CHECK(c.boolean("fast"));
  CHECK(c.string("name") == "x");
  CHECK(c.set("k", -1).integer("k") == -1);
  CHECK(c.entries().size() == 4);
  CHECK_THROWS_AS(c.size("k"), error);
  CHECK_THROWS_AS(c.integer("rate"), error);
  CHECK_THROWS_WITH(c.integer("kk"), Catch::Contains("k, rate, fast, name"));
}
