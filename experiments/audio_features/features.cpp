#include "experiments/audio_features/features.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <span>

#include <hocket/core/parallel.hpp>
#include <hocket/io/audio_file.hpp>

namespace hocket::experiments::audio_features {

std::vector<std::pair<std::size_t, std::size_t>> cut(const clip_options& options, std::size_t samples, unsigned rate) {
  const auto length = static_cast<std::size_t>(options.seconds * rate);
  std::vector<std::pair<std::size_t, std::size_t>> clips;
  if (samples < length) {
    if (!options.whole_clips_only && samples > 0) clips.emplace_back(0, samples);
    return clips;
  }
  const std::size_t count = std::min(options.most_per_file, samples / length);
  for (std::size_t i = 0; i < count; ++i)
    clips.emplace_back(count > 1 ? (samples - length) * i / (count - 1) : 0, length);
  return clips;
}

namespace {

/// Decodes and extracts; files are handed out to the device's threads, the result does not depend on their number.
feature_table extract_features(const cpu& device, const data_set& set, const clip_options& options) {
  struct from_file {
    std::vector<std::string> ids;
    std::vector<std::vector<double>> values;  ///< per arm
    double seconds = 0;
  };
  std::vector<from_file> parts(set.files.size());
  const auto threads = static_cast<std::size_t>(device.threads);
  std::vector<std::map<unsigned, std::vector<std::unique_ptr<arm<float>>>>> arms(threads);
  for_each_tile(
      device, set.files.size(),
      [&](std::size_t at, std::size_t worker) {
        const data_file& file = set.files[at];
        const auto recording = io::read_audio<float>(file.path);
        const unsigned rate = recording.info.sample_rate;
        if (static_cast<double>(rate) < lowest_rate) return;
        std::vector<float> mono = io::mix_to_mono(recording);
        auto& built = arms[worker][rate];
        if (built.empty())
          for (const arm_entry& entry : arm_table) built.push_back(make_arm<float>(entry.name, rate));
        from_file& part = parts[at];
        part.values.resize(arm_table.size());
        for (const auto& [first, length] : cut(options, mono.size(), rate)) {
          std::vector<float> clip(mono.begin() + static_cast<std::ptrdiff_t>(first),
                                  mono.begin() + static_cast<std::ptrdiff_t>(first + length));
          clip.resize(std::max(length, static_cast<std::size_t>(options.least_seconds * rate)), 0.0f);
          part.ids.push_back(text(file.name, "#", first));
          part.seconds += static_cast<double>(length) / rate;
          for (std::size_t a = 0; a < built.size(); ++a) {
            auto& values = part.values[a];
            values.resize(values.size() + built[a]->size());
            built[a]->run(make_view(std::as_const(clip)), std::span(values).last(built[a]->size()));
          }
        }
      },
      true);
  feature_table table;
  table.values.resize(arm_table.size());
  for (const arm_entry& entry : arm_table) table.sizes.push_back(make_arm<float>(entry.name, 44100)->size());
  for (std::size_t at = 0; at < parts.size(); ++at) {
    table.left_out += parts[at].ids.empty();
    table.seconds += parts[at].seconds;
    for (std::size_t i = 0; i < parts[at].ids.size(); ++i) {
      table.ids.push_back(parts[at].ids[i]);
      table.labels.push_back(set.files[at].label);
      table.units.push_back(set.files[at].unit);
    }
    for (std::size_t a = 0; a < parts[at].values.size(); ++a)
      table.values[a].insert(table.values[a].end(), parts[at].values[a].begin(), parts[at].values[a].end());
  }
  return table;
}

/// The table as bytes and back, for the stage cache of this machine.
class byte_writer {
 public:
  template <class T>
  void numbers(const std::vector<T>& values) {
    number(values.size());
    const auto* first = reinterpret_cast<const std::byte*>(values.data());
    bytes_.insert(bytes_.end(), first, first + values.size() * sizeof(T));
  }
  void number(std::uint64_t value) {
    const auto* first = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), first, first + sizeof value);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class byte_reader {
 public:
  explicit byte_reader(const std::vector<std::byte>& bytes) : bytes_(bytes) {}
  template <class T>
  std::vector<T> numbers() {
    std::vector<T> values(static_cast<std::size_t>(number()));
    copy(values.data(), values.size() * sizeof(T));
    return values;
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    copy(&value, sizeof value);
    return value;
  }

 private:
  void copy(void* target, std::size_t count) {
    expects(count <= bytes_.size() - at_, errc::bad_file,
            "a cached stage ends early; remove the results' cache folder");
    if (count > 0) std::memcpy(target, bytes_.data() + at_, count);
    at_ += count;
  }
  const std::vector<std::byte>& bytes_;
  std::size_t at_ = 0;
};

std::vector<std::byte> to_bytes(const feature_table& table) {
  byte_writer out;
  out.number(table.ids.size());
  for (const std::string& id : table.ids) out.numbers(std::vector<char>(id.begin(), id.end()));
  out.numbers(table.labels);
  out.numbers(table.units);
  out.numbers(table.sizes);
  out.number(table.values.size());
  for (const auto& values : table.values) out.numbers(values);
  out.number(table.left_out);
  out.numbers(std::vector<double>{table.seconds});
  return out.take();
}

feature_table table_from_bytes(const std::vector<std::byte>& bytes) {
  byte_reader in(bytes);
  feature_table table;
  table.ids.resize(static_cast<std::size_t>(in.number()));
  for (std::string& id : table.ids) {
    const auto characters = in.numbers<char>();
    id.assign(characters.begin(), characters.end());
  }
  table.labels = in.numbers<std::uint32_t>();
  table.units = in.numbers<std::uint32_t>();
  table.sizes = in.numbers<std::size_t>();
  table.values.resize(static_cast<std::size_t>(in.number()));
  for (auto& values : table.values) values = in.numbers<double>();
  table.left_out = static_cast<std::size_t>(in.number());
  table.seconds = in.numbers<double>().at(0);
  return table;
}

}  // namespace

feature_table cached_features(case_run& run, const data_set& set) {
  const clip_options options = clips_of(set.use.name);
  measure::config what;
  what.set("set", set.use.name).set_all(options).set("highest_hz", highest_hz);
  return table_from_bytes(run.stage("features", what, {set.use.sha256},
                                    [&] { return to_bytes(extract_features(run.options().device(), set, options)); }));
}

}  // namespace hocket::experiments::audio_features
