// What one run of one case has to say, as plain structs: the JSON of reports/schema/record.schema.json without a JSON
// library, so that a program which fills a record compiles fast. record_json.hpp writes, reads and validates it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>

namespace hocket::measure {

/// A value of a configuration: what JSON calls a scalar. monostate is null ("absent").
using scalar = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

/// Every option of a case by name. Order is kept for printing; the digest sorts by name.
class config {
 public:
  config() = default;

  config& set(std::string key, scalar value) {
    for (auto& [known, old] : entries_)
      if (known == key) {
        old = std::move(value);
        return *this;
      }
    entries_.emplace_back(std::move(key), std::move(value));
    return *this;
  }
  config& set(std::string key, const char* value) { return set(std::move(key), scalar(std::string(value))); }
  config& set(std::string key, std::string_view value) { return set(std::move(key), scalar(std::string(value))); }
  config& set(std::string key, std::string value) { return set(std::move(key), scalar(std::move(value))); }
  config& set(std::string key, bool value) { return set(std::move(key), scalar(value)); }
  config& set(std::string key, int value) { return set(std::move(key), scalar(std::int64_t{value})); }
  config& set(std::string key, std::int64_t value) { return set(std::move(key), scalar(value)); }
  config& set(std::string key, std::size_t value) {
    return set(std::move(key), scalar(static_cast<std::int64_t>(value)));
  }
  config& set(std::string key, double value) { return set(std::move(key), scalar(value)); }
  /// Every field of an options struct (core/options.hpp), as printed, under "prefix.name" or "name".
  template <OptionStruct Options>
  config& set_all(const Options& options, std::string_view prefix = {}) {
    for (auto& [key, value] : to_pairs(options)) set(prefix.empty() ? key : text(prefix, ".", key), scalar(value));
    return *this;
  }

  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::int64_t integer(std::string_view key) const { return get<std::int64_t>(key, "a whole number"); }
  std::size_t size(std::string_view key) const {
    const std::int64_t value = integer(key);
    expects(value >= 0, errc::bad_option, "config key ", key, " is ", value, "; a size is >= 0");
    return static_cast<std::size_t>(value);
  }
  bool boolean(std::string_view key) const { return get<bool>(key, "true or false"); }
  const std::string& string(std::string_view key) const { return get<std::string>(key, "text"); }
  double number(std::string_view key) const {
    const scalar* value = find(key);
    if (value)
      if (const auto* whole = std::get_if<std::int64_t>(value)) return static_cast<double>(*whole);
    return get<double>(key, "a number");
  }

  const std::vector<std::pair<std::string, scalar>>& entries() const { return entries_; }

 private:
  const scalar* find(std::string_view key) const {
    for (const auto& [known, value] : entries_)
      if (known == key) return &value;
    return nullptr;
  }
  template <class T>
  const T& get(std::string_view key, std::string_view wanted) const {
    const scalar* value = find(key);
    if (!value) {
      std::string known;
      for (const auto& entry : entries_) known += text(known.empty() ? "" : ", ", entry.first);
      fail(errc::bad_option, "no config key ", key, "; known are: ", known);
    }
    const T* typed = std::get_if<T>(value);
    expects(typed != nullptr, errc::bad_option, "config key ", key, " is not ", wanted);
    return *typed;
  }

  std::vector<std::pair<std::string, scalar>> entries_;
};

/// quality: accuracy, errors; throughput: all arms timed interleaved in one process; parity: ours against a peer's
/// values; curve: nothing but curves; bench and compare: written by bench/.
enum class record_kind { quality, throughput, parity, bench, compare, curve };

}  // namespace hocket::measure

template <>
struct hocket::enum_names<hocket::measure::record_kind> {
  using enum hocket::measure::record_kind;
  static constexpr std::array values = {
      std::pair{quality, std::string_view{"quality"}}, std::pair{throughput, std::string_view{"throughput"}},
      std::pair{parity, std::string_view{"parity"}},   std::pair{bench, std::string_view{"bench"}},
      std::pair{compare, std::string_view{"compare"}}, std::pair{curve, std::string_view{"curve"}}};
};

namespace hocket::measure {

/// Kinds whose result depends on the machine: its fingerprint is part of the key.
constexpr bool is_timed(record_kind kind) {
  return kind == record_kind::throughput || kind == record_kind::bench || kind == record_kind::compare;
}

/// ok: finished. failed: ran and broke (the error says how). not_run: could not run here (data set, backend or peer
/// missing). skipped: left out by the protocol.
enum class record_status { ok, failed, not_run, skipped };

/// What a quality case promises about its data. Selection happens on validation data; the driver refuses anything else.
struct protocol {
  std::string task{};                     ///< "music style, 5 classes"
  std::string split_unit{};               ///< what is never divided between splits: "track", "kit", "image"
  std::string selection_split = "valid";  ///< where hyper-parameters are chosen; "test" is refused
  std::string test_split = "test";
  std::optional<std::int64_t> tuning_trials{};  ///< configurations tried; equal for all methods of a family
  std::string family{};                         ///< comparisons that share one Holm correction
  std::optional<std::int64_t> folds{};
  std::optional<double>
      margin{};  ///< declared before the run: differences within it count as equivalent; else the report's
  std::vector<std::string> notes{};
};

/// A data set as used. `missing` non-empty: why it cannot be used; the case is then recorded as not_run.
struct data_use {
  std::string name{};
  std::string version{};
  std::string sha256{};  ///< of the content that was read
  std::string licence{};
  std::optional<std::int64_t> n_train{}, n_valid{}, n_test{}, units{};
  bool embedded = false;   ///< shipped with the repository; a report says so
  bool synthetic = false;  ///< made by a generator; a report says so
  std::string missing{};   ///< not part of the record
};

struct metric {
  std::string name{};     ///< "accuracy"
  std::string variant{};  ///< spelled out: "mean over classes present in the truth"
  std::string unit{};     ///< "fraction"
  std::string better{};   ///< "higher" | "lower"
  std::string split = "test";
  std::optional<double> value{};  ///< absent: not defined for these data
  std::optional<std::int64_t> n{};
  std::optional<std::pair<double, double>> ci_test{};  ///< 95 %, over test units
  std::string ci_method{};                             ///< "wilson", "bca by track, 10000 draws"
};

/// Per test item, in a fixed order, so that any paired test can be redone from the record.
struct test_items {
  std::string ids_sha256{};          ///< digest of the item names in order
  std::vector<std::int64_t> unit{};  ///< index of the split unit of each item
  std::vector<std::int64_t> truth{};
  std::vector<std::int64_t> predicted{};
  std::vector<std::string> classes{};
};

/// One arm's times. Filled by sampler.hpp, which refuses an arm whose result was not checked.
struct timing {
  std::string arm{};
  std::string backend = "cpu";
  std::string dtype = "f32";
  std::int64_t threads = 1;
  std::int64_t warmup = 0;
  std::vector<double> samples_ns;  ///< >= 12, one per kept round
  double median_ns = 0;
  std::pair<double, double> ci95_ns{};
  double work = 0;          ///< work units in one sample
  std::string work_unit{};  ///< "seconds of audio", "rows"
  std::optional<double> flops{}, bytes{};
  std::int64_t rounds_dropped = 0;
  bool noisy = false;  ///< fewer quiet rounds than wanted: some kept rounds had a slow canary
};

/// numerator time / denominator time, from interleaved rounds. A ratio below 1 says that the numerator is faster.
struct ratio {
  std::string name{};
  std::string numerator{}, denominator{}, denominator_version{};
  double value = 0;  ///< exp of the median log ratio
  std::pair<double, double> ci95{};
  std::string better = "lower";
  std::optional<double> target{};
  std::optional<bool> met{};
  std::vector<double> log_ratios{};  ///< one per kept round
  std::int64_t rounds_dropped = 0;
  bool noisy = false;
};

struct parity_row {
  std::string what{}, preset{}, peer{}, peer_version{}, dtype{};
  std::int64_t cases = 0;
  std::optional<double> max_error{}, bound{};
  std::string unit{};
  bool ok = false;
  std::string note{};
};

/// points: {x, y}, {x, y, low, high}.
struct curve {
  std::string name{}, x{}, y{};
  std::vector<std::vector<double>> points{};
};

struct record_error {
  std::string kind{};  ///< a name of errc, "crashed", "timeout", "exception"
  std::string message{};
  std::optional<std::int64_t> signal{};
};

/// What a case fills in while it runs.
struct record_body {
  std::vector<measure::metric> metrics;
  std::optional<test_items> items;
  std::vector<measure::timing> timings;
  std::vector<measure::ratio> ratios;
  std::vector<parity_row> parity;
  std::vector<measure::curve> curves;
  std::optional<std::int64_t> allocations_steady;
};

/// What identifies a case: together with the code digest, and the machine for a timed kind, it makes the key.
struct record_head {
  std::string experiment;
  std::string name;  ///< unique within the experiment: "digits/covariance/k=32/seed=0"
  record_kind kind = record_kind::quality;
  measure::config options;
  std::optional<std::int64_t> seed;
  std::optional<measure::protocol> protocol;
  std::vector<data_use> data;
};

/// Where a record comes from; see build.hpp and machine.hpp.
struct provenance {
  std::vector<std::string> command;
  std::string created_utc, version, git_commit;
  bool git_dirty = false;
  std::string code_digest, compiler, flags, build_type;
  std::vector<std::pair<std::string, std::string>> libraries;
  std::vector<std::pair<std::string, std::string>> environment;
};

struct machine {
  std::string fingerprint, cpu;
  std::int64_t cores = 0, ram_bytes = 0;
  std::string os, kernel, isa, caches, governor;
  std::vector<double> load_average;
};

/// One file.
struct record {
  record_head head;
  record_status status = record_status::ok;
  std::optional<record_error> error;
  record_body body;
  std::optional<double> wall_s;
  std::optional<std::int64_t> rss_peak_bytes;
  measure::provenance provenance;
  measure::machine machine;
};

}  // namespace hocket::measure

template <>
struct hocket::enum_names<hocket::measure::record_status> {
  using enum hocket::measure::record_status;
  static constexpr std::array values = {
      std::pair{ok, std::string_view{"ok"}}, std::pair{failed, std::string_view{"failed"}},
      std::pair{not_run, std::string_view{"not_run"}}, std::pair{skipped, std::string_view{"skipped"}}};
};
