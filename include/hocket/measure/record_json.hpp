// Records as JSON: writing (canonical, checked, atomic), keys, validation. Heavy to compile (nlohmann-json): include it
// in one file of a program; programs that only fill records need record.hpp alone.
//
// Canonical means: members sorted by name, no optional blanks, numbers in their shortest form that reads back to the
// same value, no NaN or infinity anywhere (an undefined value is null).
#pragma once

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <hocket/measure/json_schema.hpp>
#include <hocket/measure/record.hpp>
#include <hocket/measure/sha256.hpp>

namespace hocket::measure {

using json = nlohmann::json;

inline constexpr const char* record_schema_name = "hocket.record/1";

// --- each struct's members, once, for both directions; `always` members are written even when empty ---

template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, protocol>
void members(Self& s, Visit&& v) {
  v("task", s.task, true), v("split_unit", s.split_unit, true), v("selection_split", s.selection_split, true);
  v("test_split", s.test_split, true), v("tuning_trials", s.tuning_trials, false), v("family", s.family, true);
  v("folds", s.folds, false), v("margin", s.margin, false), v("notes", s.notes, false);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, data_use>
void members(Self& s, Visit&& v) {
  v("name", s.name, true), v("version", s.version, true), v("sha256", s.sha256, true), v("licence", s.licence, false);
  v("n_train", s.n_train, false), v("n_valid", s.n_valid, false), v("n_test", s.n_test, false),
      v("units", s.units, false);
  v("embedded", s.embedded, true), v("synthetic", s.synthetic, true);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, metric>
void members(Self& s, Visit&& v) {
  v("name", s.name, true), v("variant", s.variant, true), v("unit", s.unit, true), v("better", s.better, true);
  v("split", s.split, true), v("value", s.value, true), v("n", s.n, false), v("ci_test", s.ci_test, false);
  v("ci_method", s.ci_method, false);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, test_items>
void members(Self& s, Visit&& v) {
  v("ids_sha256", s.ids_sha256, true), v("unit", s.unit, false), v("truth", s.truth, true);
  v("predicted", s.predicted, true), v("classes", s.classes, false);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, timing>
void members(Self& s, Visit&& v) {
  v("arm", s.arm, true), v("backend", s.backend, true), v("dtype", s.dtype, true), v("threads", s.threads, true);
  v("warmup", s.warmup, true), v("samples_ns", s.samples_ns, true), v("median_ns", s.median_ns, true);
  v("ci95_ns", s.ci95_ns, true), v("work", s.work, true), v("work_unit", s.work_unit, true), v("flops", s.flops, false);
  v("bytes", s.bytes, false), v("rounds_dropped", s.rounds_dropped, true), v("noisy", s.noisy, false);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, ratio>
void members(Self& s, Visit&& v) {
  v("name", s.name, true), v("numerator", s.numerator, true), v("denominator", s.denominator, true);
  v("denominator_version", s.denominator_version, false), v("ratio", s.value, true), v("ci95", s.ci95, true);
  v("better", s.better, true), v("target", s.target, false), v("met", s.met, false),
      v("log_ratios", s.log_ratios, true);
  v("rounds_dropped", s.rounds_dropped, true), v("noisy", s.noisy, false);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, parity_row>
void members(Self& s, Visit&& v) {
  v("what", s.what, true), v("preset", s.preset, false), v("peer", s.peer, true),
      v("peer_version", s.peer_version, true);
  v("dtype", s.dtype, true), v("cases", s.cases, true), v("max_error", s.max_error, true), v("bound", s.bound, true);
  v("unit", s.unit, false), v("ok", s.ok, true), v("note", s.note, false);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, curve>
void members(Self& s, Visit&& v) {
  v("name", s.name, true), v("x", s.x, true), v("y", s.y, true), v("points", s.points, true);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, record_error>
void members(Self& s, Visit&& v) {
  v("kind", s.kind, true), v("message", s.message, true), v("signal", s.signal, false);
}
template <class Self, class Visit>
requires std::same_as<std::remove_const_t<Self>, machine>
void members(Self& s, Visit&& v) {
  v("fingerprint", s.fingerprint, true), v("cpu", s.cpu, true), v("cores", s.cores, true),
      v("ram_bytes", s.ram_bytes, true);
  v("os", s.os, true), v("kernel", s.kernel, true), v("isa", s.isa, true), v("caches", s.caches, false);
  v("load_average", s.load_average, false), v("governor", s.governor, false);
}

namespace detail {

template <class T>
concept HasMembers = requires(const T& t) {
  members(t, [](const char*, const auto&, bool) {});
};

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;

inline json number_to_json(double value, const std::string& where) {
  expects(std::isfinite(value), errc::bad_value, where, " is ", value, "; a record holds finite numbers, or no value");
  return value;
}

template <class T>
json value_to_json(const T& value, const std::string& where) {
  if constexpr (HasMembers<T>) {
    json out = json::object();
    members(value, [&](const char* name, const auto& member, bool always) {
      json written = value_to_json(member, text(where, ".", name));
      const bool empty = written.is_null() || (written.is_boolean() && !written.template get<bool>()) ||
                         (written.is_string() && written.template get_ref<const std::string&>().empty()) ||
                         (written.is_array() && written.empty());
      if (always || !empty) out[name] = std::move(written);
    });
    return out;
  } else if constexpr (std::same_as<T, double>) {
    return number_to_json(value, where);
  } else if constexpr (hocket::detail::is_optional<T>) {
    return value ? value_to_json(*value, where) : json(nullptr);
  } else if constexpr (requires { value.first; }) {
    return json::array({value_to_json(value.first, where), value_to_json(value.second, where)});
  } else if constexpr (is_vector<T>) {
    json out = json::array();
    for (std::size_t i = 0; i < value.size(); ++i) out.push_back(value_to_json(value[i], text(where, "[", i, "]")));
    return out;
  } else {
    return value;
  }
}

template <class T>
void value_from_json(const json& in, T& value) {
  if constexpr (HasMembers<T>) {
    members(value, [&](const char* name, auto& member, bool) {
      if (in.contains(name)) value_from_json(in.at(name), member);
    });
  } else if constexpr (hocket::detail::is_optional<T>) {
    if (!in.is_null()) value_from_json(in, value.emplace());
  } else {
    in.get_to(value);
  }
}

inline json scalar_to_json(const scalar& value, const std::string& where) {
  return std::visit(
      [&](const auto& v) -> json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::same_as<T, std::monostate>)
          return nullptr;
        else if constexpr (std::same_as<T, double>)
          return number_to_json(v, where);
        else
          return v;
      },
      value);
}

inline scalar scalar_from_json(const json& in) {
  if (in.is_boolean()) return in.get<bool>();
  if (in.is_number_integer()) return in.get<std::int64_t>();
  if (in.is_number()) return in.get<double>();
  if (in.is_string()) return in.get<std::string>();
  return std::monostate{};
}

inline void refuse_non_finite(const json& value, const std::string& where) {
  if (value.is_number_float()) number_to_json(value.get<double>(), where);
  if (value.is_object())
    for (const auto& [name, member] : value.items()) refuse_non_finite(member, text(where, ".", name));
  if (value.is_array())
    for (std::size_t i = 0; i < value.size(); ++i) refuse_non_finite(value[i], text(where, "[", i, "]"));
}

}  // namespace detail

/// What a case filled in, as the members of a record.
inline json to_json(const record_body& body) {
  json out = json::object();
  if (!body.metrics.empty()) out["metrics"] = detail::value_to_json(body.metrics, "metrics");
  if (body.items) out["items"] = detail::value_to_json(*body.items, "items");
  if (!body.timings.empty()) {
    out["timings"] = detail::value_to_json(body.timings, "timings");
    for (auto& timing : out["timings"]) timing["checked"] = true;  // sampler.hpp times no unchecked result
  }
  if (!body.ratios.empty()) out["ratios"] = detail::value_to_json(body.ratios, "ratios");
  if (!body.parity.empty()) out["parity"] = detail::value_to_json(body.parity, "parity");
  if (!body.curves.empty()) out["curves"] = detail::value_to_json(body.curves, "curves");
  if (body.allocations_steady) out["memory"]["allocations_steady"] = *body.allocations_steady;
  return out;
}

inline json to_json(const config& options) {
  json out = json::object();
  for (const auto& [key, value] : options.entries()) out[key] = detail::scalar_to_json(value, text("config.", key));
  return out;
}

/// The members that identify a case.
inline json to_json(const record_head& head) {
  json out = {{"experiment", head.experiment},
              {"case", head.name},
              {"kind", name_of(head.kind)},
              {"config", to_json(head.options)}};
  if (head.seed) out["seed"] = *head.seed;
  if (head.protocol) out["protocol"] = detail::value_to_json(*head.protocol, "protocol");
  if (!head.data.empty()) out["data"] = detail::value_to_json(head.data, "data");
  return out;
}

inline record_head head_from_json(const json& in) {
  record_head head;
  in.at("experiment").get_to(head.experiment);
  in.at("case").get_to(head.name);
  head.kind = hocket::detail::option_from_text<record_kind>("kind", in.at("kind").get<std::string>());
  for (const auto& [key, value] : in.at("config").items()) head.options.set(key, detail::scalar_from_json(value));
  if (in.contains("seed") && !in.at("seed").is_null()) head.seed = in.at("seed").get<std::int64_t>();
  if (in.contains("protocol")) detail::value_from_json(in.at("protocol"), head.protocol.emplace());
  if (in.contains("data"))
    for (const auto& one : in.at("data")) detail::value_from_json(one, head.data.emplace_back());
  return head;
}

inline json to_json(const provenance& p) {
  json out = {{"created_utc", p.created_utc}, {"command", p.command},
              {"version", p.version},         {"git_commit", p.git_commit},
              {"git_dirty", p.git_dirty},     {"code_digest", p.code_digest},
              {"compiler", p.compiler},       {"flags", p.flags},
              {"build_type", p.build_type},   {"libraries", json::object()},
              {"environment", json::object()}};
  for (const auto& [name, version_text] : p.libraries) out["libraries"][name] = version_text;
  for (const auto& [name, value] : p.environment) out["environment"][name] = value;
  return out;
}

/// The key of a record: 16 digits of the digest of what decides its result. `record` is any JSON that has the members
/// of the schema named here; a stored record's key can be recomputed from the file alone.
inline std::string key_of(const json& record, const std::string& code_digest, const std::string& machine_fingerprint) {
  json basis = {
      {"experiment", record.at("experiment")},       {"kind", record.at("kind")}, {"config", record.at("config")},
      {"seed", record.value("seed", json(nullptr))}, {"data", json::array()},     {"code", code_digest}};
  if (record.contains("data"))
    for (const auto& one : record.at("data")) basis["data"].push_back({one.at("name"), one.at("sha256")});
  const auto kind = hocket::detail::option_from_text<record_kind>("kind", record.at("kind").get<std::string>());
  if (is_timed(kind)) basis["machine"] = machine_fingerprint;
  return sha256_of(basis.dump()).substr(0, 16);
}

/// The whole record, key included. Throws bad_value for a NaN or an infinity, with its place.
inline json to_json(const record& r) {
  json out = to_json(r.head);
  out.update(to_json(r.body));
  out["schema"] = record_schema_name;
  out["status"] = name_of(r.status);
  if (r.error) out["error"] = detail::value_to_json(*r.error, "error");
  if (r.wall_s) out["wall_s"] = detail::number_to_json(*r.wall_s, "wall_s");
  if (r.rss_peak_bytes) out["memory"]["rss_peak_bytes"] = *r.rss_peak_bytes;
  out["provenance"] = to_json(r.provenance);
  out["machine"] = detail::value_to_json(r.machine, "machine");
  out["key"] = key_of(out, r.provenance.code_digest, r.machine.fingerprint);
  return out;
}

/// Canonical text of a record: one line per top-level member, so that published records show readable differences.
inline std::string record_text(const json& record) {
  detail::refuse_non_finite(record, "record");
  std::string out = "{\n";
  bool first = true;
  for (const auto& [name, member] : record.items()) {
    out += text(first ? "" : ",\n", json(name).dump(), ": ", member.dump());
    first = false;
  }
  return out + "\n}\n";
}

/// Replaces `path` by `content` so that a reader, or whoever comes after a crash, sees the old file or the new one.
/// The temporary name begins with a dot: no reader of records looks at it.
inline void write_atomically(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  const std::filesystem::path temporary = path.parent_path() / text(".", path.filename().string(), ".", getpid());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  expects(fd >= 0, errc::bad_file, temporary.string(), ": cannot be written: ", std::strerror(errno));
  bool good = true;
  for (std::string_view left = content; good && !left.empty();) {
    const ssize_t wrote = ::write(fd, left.data(), left.size());
    good = wrote > 0 || (wrote < 0 && errno == EINTR);
    if (wrote > 0) left.remove_prefix(static_cast<std::size_t>(wrote));
  }
  good = fsync(fd) == 0 && good;
  good = close(fd) == 0 && good;
  good = good && std::rename(temporary.c_str(), path.c_str()) == 0;
  const int problem = errno;
  if (!good) std::remove(temporary.c_str());
  expects(good, errc::bad_file, path.string(), ": cannot be written: ", std::strerror(problem));
}

/// Writes <folder>/<experiment>/<key>.json and returns its path.
inline std::filesystem::path write_record(const std::filesystem::path& folder, const json& record) {
  const std::filesystem::path path =
      folder / record.at("experiment").get<std::string>() / (record.at("key").get<std::string>() + ".json");
  write_atomically(path, record_text(record));
  return path;
}
inline std::filesystem::path write_record(const std::filesystem::path& folder, const record& r) {
  return write_record(folder, to_json(r));
}

/// Reads a file; throws bad_file when it is missing, empty, cut off, or holds NaN (which is not JSON).
inline json read_json(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  expects(in.is_open() && !std::filesystem::is_directory(path), errc::bad_file, path.string(), ": cannot be opened");
  std::ostringstream all;
  all << in.rdbuf();
  try {
    return json::parse(all.str());
  } catch (const json::exception& problem) {  // a parse error, or a number too large for a double
    fail(errc::bad_file, path.string(), ": not JSON: ", problem.what());
  }
}

namespace detail {

/// What the schema cannot say about a record that matches it.
inline void record_inconsistencies(const json& r, std::vector<std::string>& found) {
  const std::string key = key_of(r, r.at("provenance").at("code_digest").get<std::string>(),
                                 r.at("machine").at("fingerprint").get<std::string>());
  if (r.at("key") != key) found.push_back(text("record.key: ", r.at("key").dump(), " but the content's key is ", key));
  if (r.at("status") == "failed" && (!r.contains("error") || r.at("error").is_null()))
    found.push_back("record: a failed record needs an error");
  if (r.at("status") == "ok" && r.at("kind") == "quality" && !r.contains("protocol"))
    found.push_back("record: a quality record needs a protocol");
  if (r.contains("items") && !r.at("items").is_null()) {
    const json& items = r.at("items");
    for (const char* name : {"predicted", "unit"})
      if (items.contains(name) && items.at(name).size() != items.at("truth").size())
        found.push_back(
            text("record.items.", name, ": ", items.at(name).size(), " entries, truth has ", items.at("truth").size()));
  }
  const auto inside = [&](const json& row, const char* value, const char* interval, const std::string& where) {
    const double low = row.at(interval)[0].get<double>(), at = row.at(value).get<double>();
    const double high = row.at(interval)[1].get<double>();
    if (!(0 < low && low <= at && at <= high))
      found.push_back(
          text(where, ": ", value, " ", at, " is not inside ", interval, " [", low, ", ", high, "], or not positive"));
  };
  if (r.contains("timings"))
    for (std::size_t i = 0; i < r.at("timings").size(); ++i)
      inside(r.at("timings")[i], "median_ns", "ci95_ns", text("record.timings[", i, "]"));
  if (r.contains("ratios"))
    for (std::size_t i = 0; i < r.at("ratios").size(); ++i)
      inside(r.at("ratios")[i], "ratio", "ci95", text("record.ratios[", i, "]"));
}

}  // namespace detail

/// Everything that is wrong with a record, as "where: what"; empty for a valid one.
inline std::vector<std::string> record_violations(const json& record, const json& schema) {
  std::vector<std::string> found;
  schema_violations(record, schema, "record", found);
  if (found.empty()) detail::record_inconsistencies(record, found);
  return found;
}

}  // namespace hocket::measure
