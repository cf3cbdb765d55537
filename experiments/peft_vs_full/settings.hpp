// -S key=value: which keys a method has, their defaults, and the method that comes of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/peft/combined.hpp>
#include <hocket/peft/fine_tuning.hpp>

namespace hocket::experiments::peft_vs_full {

/// The methods by the names that --method takes.
inline constexpr std::array<std::string_view, 6> method_names = {"full", "linear_probe", "bitfit",
                                                                 "lora", "prefix",       "prefix_lora"};

/// prefix_options by peft's name for the rows, and a text to begin with.
struct prefix_settings {
  std::size_t num_virtual_tokens = 20;
  bool projection = false;
  std::size_t hidden = 0;
  double deviation = 1;
  std::string initial_text = {};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("num_virtual_tokens", self.num_virtual_tokens, "keys and values before every text, in each layer");
    visit("projection", self.projection, "make them by a small network of a table, which is trained instead");
    visit("hidden", self.hidden, "width of that network; 0: that of the model");
    visit("deviation", self.deviation, "standard deviation of a new prefix");
    visit("initial_text", self.initial_text,
          "begin with the model's keys and values for this text, repeated as needed; empty: random");
  }
};

/// What concerns texts and their split, not the method.
struct text_settings {
  std::optional<std::size_t> max_length = {};
  std::optional<nn::classifier_pooling> pooling = {};
  std::string validation = {};

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("max_length", self.max_length, "tokens at which texts are cut; none: what the model says of itself");
    visit("pooling", self.pooling,
          "pooler, mean or cls: what the classifier sees; none: pooler where the model has one (as transformers), "
          "else mean");
    visit("validation", self.validation,
          "a file as --data, or a share such as 0.1 of it: the best epoch on it is kept; empty: the last epoch is");
  }
};

struct run_settings {
  std::string method;
  peft::training_options training;
  text_settings texts;
  peft::full_options full;
  peft::lora_options lora;
  prefix_settings prefix;

  /// Defaults of a method. Throws bad_option with the known methods for another name.
  explicit run_settings(std::string name);
  /// One key=value. Throws bad_option with the keys that the method has.
  void set(std::string_view assignment);
  /// "key=value" of every key that the method has.
  std::vector<std::pair<std::string, std::string>> pairs() const;
  std::string described() const;  ///< a line for each key, for --help

  peft::combined make() const;
  bool has_prefix() const { return method == "prefix" || method == "prefix_lora"; }
  bool has_lora() const { return method == "lora" || method == "prefix_lora"; }
};

/// Ids for initialise_from_text: the special tokens and words of `initial_text`, repeated until they are enough.
std::vector<std::uint32_t> prefix_ids(const std::vector<std::uint32_t>& of_text, std::size_t rows);

}  // namespace hocket::experiments::peft_vs_full
