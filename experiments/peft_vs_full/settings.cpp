#include "experiments/peft_vs_full/settings.hpp"

#include <algorithm>
#include <utility>

namespace hocket::experiments::peft_vs_full {

namespace {

/// f(options) for every struct whose keys the method of `s` has.
template <class Settings, class Visit>
void each_struct(Settings& s, Visit&& f) {
  f(s.training);
  f(s.texts);
  if (s.method == "full") f(s.full);
  if (s.has_lora()) f(s.lora);
  if (s.has_prefix()) f(s.prefix);
}

/// Rates at which MiniLM-sized encoders learn; larger ones want less.
double default_rate(std::string_view method) {
  if (method == "full") return 1e-4;
  if (method == "linear_probe") return 1e-2;
  if (method == "prefix") return 1e-2;
  return 2e-3;
}

}  // namespace

run_settings::run_settings(std::string name) : method(std::move(name)) {
  std::string known;
  for (const auto each : method_names) known += text(known.empty() ? "" : ", ", each);
  expects(std::find(method_names.begin(), method_names.end(), method) != method_names.end(), errc::bad_option,
          "unknown method ", method.empty() ? "(none given: --method)" : method, "; known are: ", known);
  training.learning_rate = default_rate(method);
}

void run_settings::set(std::string_view assignment) {
  const auto equals = assignment.find('=');
  expects(equals != std::string_view::npos && equals > 0, errc::bad_option, "-S ", assignment, ": expected key=value");
  const std::string_view key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  std::string known;
  bool found = false;
  each_struct(*this, [&](auto& options) {
    bool here = false;
    options.fields(options, [&](std::string_view name, auto&, std::string_view) {
      known += text(known.empty() ? "" : ", ", name);
      here = here || name == key;
    });
    if (here) set_option(options, key, value);
    found = found || here;
  });
  expects(found, errc::bad_option, "method ", method, " has no key ", key, "; known are: ", known);
}

std::vector<std::pair<std::string, std::string>> run_settings::pairs() const {
  std::vector<std::pair<std::string, std::string>> all;
  each_struct(*this, [&](const auto& options) {
    for (auto& pair : to_pairs(options)) all.push_back(std::move(pair));
  });
  return all;
}

std::string run_settings::described() const {
  std::string all;
  each_struct(*this, [&](const auto& options) { all += describe(options); });
  return all;
}

peft::combined run_settings::make() const {
  peft::combined all;
  expects(prefix.hidden == 0 || prefix.projection, errc::bad_option, "hidden=", prefix.hidden,
          ": it is the width of the network that projection=true asks for; without it there is none");
  if (has_prefix())
    all.methods.emplace_back(
        peft::prefix{{prefix.num_virtual_tokens, prefix.projection, prefix.hidden, prefix.deviation}});
  if (has_lora()) all.methods.emplace_back(peft::lora{lora});
  if (method == "full") all.methods.emplace_back(peft::full{full});
  if (method == "linear_probe") all.methods.emplace_back(peft::linear_probe{});
  if (method == "bitfit") all.methods.emplace_back(peft::bitfit{});
  return all;
}

std::vector<std::uint32_t> prefix_ids(const std::vector<std::uint32_t>& of_text, std::size_t rows) {
  std::vector<std::uint32_t> ids;
  while (ids.size() < rows) ids.insert(ids.end(), of_text.begin(), of_text.end());
  ids.resize(rows);
  return ids;
}

}  // namespace hocket::experiments::peft_vs_full
