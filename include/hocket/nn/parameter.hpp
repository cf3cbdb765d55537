// What is trained: named matrices with a gradient beside them. A frozen parameter has no gradient memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/core/view.hpp>

namespace hocket::nn {

/// One weight. A vector (a bias, a gain) is a matrix of one row. The value is owned, or lies where whoever made the
/// parameter keeps it (a mapped file); then it must be frozen.
template <Real T>
class parameter {
 public:
  /// Zeros.
  parameter(std::string name, std::size_t rows, std::size_t columns)
      : name_(std::move(name)), owned_({rows, columns}), value_(owned_.as_view()) {}
  /// A frozen value in foreign memory, which must outlive the parameter.
  parameter(std::string name, const view<const T, 2>& foreign)
      : name_(std::move(name)), foreign_(true), trainable_(false), value_(foreign) {
    expects(foreign.dense(), errc::misaligned, "parameter ", name_, ": foreign memory must be dense");
  }
  /// A frozen view of another parameter's value, which must live and stay as it is; what is made of the other one
  /// (packed weights) serves both.
  struct shared {
    const parameter& of;
  };
  explicit parameter(const shared& other)
      : name_(other.of.name_),
        version_(other.of.version_),
        foreign_(true),
        trainable_(false),
        value_(other.of.value_) {}
  parameter(const parameter&) = delete;
  parameter& operator=(const parameter&) = delete;

  const std::string& name() const { return name_; }
  std::size_t rows() const { return value_.extent(0); }
  std::size_t columns() const { return value_.extent(1); }
  std::size_t size() const { return value_.size(); }

  view<const T, 2> value() const { return value_; }
  /// Changes with every call of writable() and own(); no two values of any parameters share one. Ask for writable()
  /// anew for each change of a frozen value: what is made of it (packed weights) is made again when this number
  /// changes.
  std::uint64_t version() const { return version_; }
  /// Throws for a value in foreign memory.
  view<T, 2> writable() {
    version_ = next_version();
    expects(!foreign_, errc::bad_option, "parameter ", name_, " lies in foreign memory; own() it before writing");
    return owned_.as_view();
  }
  /// Copies a foreign value into memory of its own.
  void own() {
    if (!foreign_) return;
    owned_ = tensor<T>(value_);
    value_ = owned_.as_view();
    foreign_ = false;
    version_ = next_version();
  }

  bool trainable() const { return trainable_; }
  /// Tapes read this when they are compiled: decide first.
  void train(bool yes) {
    if (yes) own();
    trainable_ = yes;
    gradient_ = tensor<T>();
  }

  /// Summed over all backward passes since it was last cleared; memory is taken at the first call. Throws if frozen.
  view<T, 2> gradient() {
    expects(trainable_, errc::bad_option, "parameter ", name_, " is frozen: it has no gradient");
    if (gradient_.size() != size()) gradient_ = tensor<T>({rows(), columns()});
    return gradient_.as_view();
  }

 private:
  static std::uint64_t next_version() {
    static std::atomic<std::uint64_t> count{0};
    return ++count;
  }

  std::string name_;
  std::uint64_t version_ = next_version();
  bool foreign_ = false, trainable_ = true;
  tensor<T> owned_;
  view<const T, 2> value_;
  tensor<T> gradient_;
};

/// "encoder.layer.0.*" : `*` stands for any run of characters, also for none.
inline bool matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, after = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p, ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

/// The parameters of a model in a fixed order; references to them stay good while the set lives.
template <Real T>
class parameter_set {
 public:
  /// Throws bad_option if the name is taken.
  parameter<T>& add(std::string name, std::size_t rows, std::size_t columns) {
    require_new(name);
    return all_.emplace_back(std::move(name), rows, columns);
  }
  parameter<T>& add(std::string name, const view<const T, 2>& foreign) {
    require_new(name);
    return all_.emplace_back(std::move(name), foreign);
  }

  /// Frozen views of all parameters of another set, which must live and stay as they are: any number of runs over one
  /// base. A view that is trained becomes a copy.
  void share(const parameter_set& base) {
    for (const auto& each : base.all_) {
      require_new(each.name());
      all_.emplace_back(typename parameter<T>::shared{each});
    }
  }

  auto begin() { return all_.begin(); }
  auto end() { return all_.end(); }
  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  std::size_t size() const { return all_.size(); }

  parameter<T>* find(std::string_view name) {
    for (auto& each : all_)
      if (each.name() == name) return &each;
    return nullptr;
  }
  bool contains(std::string_view name) const {
    for (const auto& each : all_)
      if (each.name() == name) return true;
    return false;
  }
  /// Throws bad_option for an unknown name.
  parameter<T>& at(std::string_view name) {
    parameter<T>* const found = find(name);
    expects(found != nullptr, errc::bad_option, "no parameter is called ", name);
    return *found;
  }

  /// Makes exactly the parameters that match one of the patterns trainable. Throws bad_option for a pattern that
  /// matches none.
  void train_only(const std::vector<std::string>& patterns) {
    for (const auto& pattern : patterns) {
      bool any = false;
      for (const auto& each : all_) any = any || matches(pattern, each.name());
      expects(any, errc::bad_option, "no parameter matches ", pattern);
    }
    for (auto& each : all_) {
      bool yes = false;
      for (const auto& pattern : patterns) yes = yes || matches(pattern, each.name());
      each.train(yes);
    }
  }

  std::vector<parameter<T>*> trainable() {
    std::vector<parameter<T>*> list;
    for (auto& each : all_)
      if (each.trainable()) list.push_back(&each);
    return list;
  }
  /// Numbers, not tensors.
  std::size_t trainable_count() const {
    std::size_t count = 0;
    for (const auto& each : all_) count += each.trainable() ? each.size() : 0;
    return count;
  }
  std::size_t count() const {
    std::size_t count = 0;
    for (const auto& each : all_) count += each.size();
    return count;
  }

 private:
  void require_new(std::string_view name) {
    expects(find(name) == nullptr, errc::bad_option, "two parameters are called ", name);
  }
  std::deque<parameter<T>> all_;
};

}  // namespace hocket::nn
