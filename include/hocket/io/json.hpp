// A small strict JSON reader (RFC 8259) for the files of models: configurations, tokenizers, safetensors headers.
// Unlike a general library it refuses a key that stands twice, bounds nesting and the number of values, keeps the order
// of members and the digits of numbers, and says where in the file it disagrees. It needs no library and compiles fast,
// so that public headers may include it; run records are written elsewhere (measure/record_json.hpp).
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/io/file.hpp>

namespace hocket::io {

enum class json_kind : std::uint8_t { null, boolean, number, string, array, object };

constexpr std::string_view name_of(json_kind kind) {
  switch (kind) {
    case json_kind::null: return "null";
    case json_kind::boolean: return "a boolean";
    case json_kind::number: return "a number";
    case json_kind::string: return "a string";
    case json_kind::array: return "an array";
    case json_kind::object: return "an object";
  }
  return "nothing known";
}

/// What a parser accepts before it calls a document hostile.
struct json_limits {
  std::size_t depth = 64;                     ///< arrays and objects inside one another
  std::size_t values = std::size_t{1} << 22;  ///< of any kind, in the whole document; each costs about 100 bytes
};

namespace detail {

/// A sort of positions by what they stand for; one for all parsers of this room, as every other instantiation costs
/// every program that includes them.
struct index_order {
  bool (*less)(const void* of, std::size_t a, std::size_t b);
  const void* of;
  bool operator()(std::size_t a, std::size_t b) const { return less(of, a, b); }
};

inline std::vector<std::size_t> sorted_positions(std::size_t size, const index_order& order) {
  std::vector<std::size_t> at(size);
  for (std::size_t i = 0; i < size; ++i) at[i] = i;
  std::sort(at.begin(), at.end(), order);
  return at;
}

}  // namespace detail

struct json_member;

/// One value and, for arrays and objects, all below it.
class json_value {
 public:
  json_kind kind() const { return kind_; }
  bool is(json_kind kind) const { return kind_ == kind; }

  /// The digits of a number as they stand in the file, the characters of a string, "true" or "false".
  const std::string& characters() const { return characters_; }
  bool is_true() const { return kind_ == json_kind::boolean && characters_ == "true"; }

  std::span<const json_value> items() const;
  /// Members in the order of the file.
  std::span<const json_member> members() const;
  /// The member `key`, or null when there is none or this is no object.
  const json_value* find(std::string_view key) const;

 private:
  friend class json_parser;
  struct children;
  json_kind kind_ = json_kind::null;
  std::string characters_;
  std::shared_ptr<children> children_;  // shared: values are never changed once they are parsed
};

struct json_member {
  std::string key;
  json_value value;
};

struct json_value::children {
  std::vector<json_value> items;
  std::vector<json_member> members;
  std::vector<std::size_t> by_key;  // positions in members, by name
};

inline std::span<const json_value> json_value::items() const {
  return children_ ? std::span<const json_value>(children_->items) : std::span<const json_value>{};
}
inline std::span<const json_member> json_value::members() const {
  return children_ ? std::span<const json_member>(children_->members) : std::span<const json_member>{};
}
inline const json_value* json_value::find(std::string_view key) const {
  if (!children_) return nullptr;
  const std::vector<std::size_t>& order = children_->by_key;
  std::size_t low = 0, high = order.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (children_->members[order[middle]].key < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == order.size() || children_->members[order[low]].key != key) return nullptr;
  return &children_->members[order[low]].value;
}

/// A value together with where it stands, so that a wrong type or a missing member is named: "config.json: a.b: ...".
class json_ref {
 public:
  json_ref(const json_value& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const json_value& value() const { return *value_; }
  const std::string& where() const { return where_; }
  json_kind kind() const { return value_->kind(); }
  bool is_null() const { return value_->is(json_kind::null); }
  /// Whether the object holds `key` with a value other than null.
  bool has(std::string_view key) const {
    const json_value* found = value_->find(key);
    return found != nullptr && !found->is(json_kind::null);
  }

  json_ref at(std::string_view key) const {
    require(json_kind::object);
    const json_value* found = value_->find(key);
    expects(found != nullptr, errc::bad_file, where_, ": '", key, "' is missing");
    return {*found, text(where_, ": ", key)};
  }
  json_ref at(std::size_t index) const {
    require(json_kind::array);
    expects(index < value_->items().size(), errc::bad_file, where_, ": has ", value_->items().size(), " items, item ",
            index, " was asked for");
    return {value_->items()[index], text(where_, "[", index, "]")};
  }
  std::size_t size() const { return value_->is(json_kind::array) ? value_->items().size() : value_->members().size(); }

  const std::string& as_string() const {
    require(json_kind::string);
    return value_->characters();
  }
  bool as_bool() const {
    require(json_kind::boolean);
    return value_->is_true();
  }
  double as_double() const { return number<double>("a finite number"); }
  /// A whole number without sign, fraction or exponent that fits a size.
  std::size_t as_size() const { return number<std::size_t>("a whole number from 0 on"); }
  std::int64_t as_int64() const { return number<std::int64_t>("a whole number"); }

  // The same, where the file may be silent.
  std::size_t size_or(std::string_view key, std::size_t otherwise) const {
    return has(key) ? at(key).as_size() : otherwise;
  }
  double double_or(std::string_view key, double otherwise) const { return has(key) ? at(key).as_double() : otherwise; }
  bool bool_or(std::string_view key, bool otherwise) const { return has(key) ? at(key).as_bool() : otherwise; }
  std::string string_or(std::string_view key, std::string_view otherwise) const {
    return has(key) ? at(key).as_string() : std::string(otherwise);
  }

  void require(json_kind wanted) const {
    expects(value_->is(wanted), errc::bad_file, where_, ": expected ", name_of(wanted), ", found ",
            name_of(value_->kind()));
  }

 private:
  template <class Number>
  Number number(std::string_view wanted) const {
    require(json_kind::number);
    const std::string& digits = value_->characters();
    Number result{};
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), result);
    expects(read.ec == std::errc{} && read.ptr == digits.data() + digits.size(), errc::bad_file, where_, ": ", digits,
            " is not ", wanted, " that fits");
    return result;
  }

  const json_value* value_;
  std::string where_;
};

/// Length in bytes of the UTF-8 sequence at the beginning of `bytes`, 0 when it is malformed (RFC 3629: no surrogates,
/// no overlong forms, nothing past U+10FFFF).
constexpr std::size_t utf8_sequence(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const auto byte = [&](std::size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u; };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF)
    return follows(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) && follows(2) ? 3 : 0;
  if (first >= 0xF0 && first <= 0xF4)
    return follows(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

constexpr bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = utf8_sequence(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

inline void append_utf8(std::string& out, char32_t c) {
  const auto push = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (c < 0x80) {
    push(c);
  } else if (c < 0x800) {
    push(0xC0 | (c >> 6));
    push(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    push(0xE0 | (c >> 12));
    push(0x80 | ((c >> 6) & 0x3F));
    push(0x80 | (c & 0x3F));
  } else {
    push(0xF0 | (c >> 18));
    push(0x80 | ((c >> 12) & 0x3F));
    push(0x80 | ((c >> 6) & 0x3F));
    push(0x80 | (c & 0x3F));
  }
}

/// Recursive descent over a document in memory; `source` names it in messages.
class json_parser {
 public:
  json_parser(std::string_view document, std::string_view source, const json_limits& limits = {})
      : all_(document), source_(source), limits_(limits) {}

  json_value parse() {
    skip_space();
    json_value root = value(0);
    skip_space();
    if (at_ != all_.size()) refuse("characters after the end of the document");
    return root;
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(errc::bad_file, source_, ": not valid JSON at byte ", at_, ": ", parts...);
  }
  bool done() const { return at_ >= all_.size(); }
  char peek() const { return done() ? '\0' : all_[at_]; }
  void skip_space() {
    while (!done() && (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r')) ++at_;
  }
  bool accept(char wanted) {
    if (done() || peek() != wanted) return false;
    ++at_;
    return true;
  }
  void require(char wanted) {
    skip_space();
    if (!accept(wanted)) refuse(done() ? "the document ends, expected '" : "expected '", wanted, "'");
  }

  json_value value(std::size_t depth) {
    if (++count_ > limits_.values) refuse("more than ", limits_.values, " values");
    json_value result;
    if (done()) refuse("the document ends where a value should stand");
    if (depth >= limits_.depth && (peek() == '{' || peek() == '['))
      refuse("more than ", limits_.depth, " arrays and objects inside one another");
    switch (peek()) {
      case '{': object(result, depth); break;
      case '[': array(result, depth); break;
      case '"':
        result.kind_ = json_kind::string;
        result.characters_ = string();
        break;
      case 't': word(result, "true", json_kind::boolean); break;
      case 'f': word(result, "false", json_kind::boolean); break;
      case 'n': word(result, "null", json_kind::null); break;
      default: number(result);
    }
    return result;
  }

  void word(json_value& result, std::string_view expected, json_kind kind) {
    if (all_.substr(at_, expected.size()) != expected) refuse("expected a value");
    at_ += expected.size();
    result.kind_ = kind;
    result.characters_ = expected;
  }

  void number(json_value& result) {
    const std::size_t start = at_;
    const auto digits = [this] {
      const std::size_t before = at_;
      while (peek() >= '0' && peek() <= '9') ++at_;
      return at_ - before;
    };
    accept('-');
    if (!accept('0') && digits() == 0) refuse("expected a value");
    if (accept('.') && digits() == 0) refuse("digits must follow the decimal point");
    if (accept('e') || accept('E')) {
      if (!accept('-')) accept('+');
      if (digits() == 0) refuse("digits must follow the exponent");
    }
    result.kind_ = json_kind::number;
    result.characters_ = all_.substr(start, at_ - start);
  }

  std::string string() {
    require('"');
    std::string out;
    while (true) {
      if (done()) refuse("a string is not closed");
      const std::size_t start = at_;  // the longest stretch without anything special is copied at once
      while (!done() && peek() != '"' && peek() != '\\' && static_cast<unsigned char>(peek()) >= 0x20) {
        const std::size_t length = utf8_sequence(all_.substr(at_, 4));
        if (length == 0) refuse("a string is not valid UTF-8");
        at_ += length;
      }
      out += all_.substr(start, at_ - start);
      if (done()) continue;
      if (accept('"')) return out;
      if (!accept('\\')) refuse("a control character inside a string");
      escape(out);
    }
  }

  void escape(std::string& out) {
    const char kind = peek();
    if (done()) refuse("a string is not closed");
    ++at_;
    switch (kind) {
      case '"':
      case '\\':
      case '/': out += kind; return;
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'n': out += '\n'; return;
      case 'r': out += '\r'; return;
      case 't': out += '\t'; return;
      case 'u': break;
      default: refuse("unknown escape in a string");
    }
    char32_t c = hexadecimal();
    if (c >= 0xDC00 && c <= 0xDFFF) refuse("half a surrogate pair");
    if (c >= 0xD800 && c <= 0xDBFF) {
      if (!accept('\\') || !accept('u')) refuse("half a surrogate pair");
      const char32_t low = hexadecimal();
      if (low < 0xDC00 || low > 0xDFFF) refuse("half a surrogate pair");
      c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, c);
  }

  char32_t hexadecimal() {
    const std::string_view digits = all_.substr(at_, 4);
    std::uint32_t c = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), c, 16);
    if (digits.size() != 4 || read.ec != std::errc{} || read.ptr != digits.data() + 4) refuse("\\u needs four digits");
    at_ += 4;
    return c;
  }

  void array(json_value& result, std::size_t depth) {
    result.kind_ = json_kind::array;
    result.children_ = std::make_shared<json_value::children>();
    require('[');
    skip_space();
    if (accept(']')) return;
    do {
      skip_space();
      result.children_->items.push_back(value(depth + 1));
      skip_space();
    } while (accept(','));
    require(']');
  }

  void object(json_value& result, std::size_t depth) {
    result.kind_ = json_kind::object;
    result.children_ = std::make_shared<json_value::children>();
    std::vector<json_member>& members = result.children_->members;
    require('{');
    skip_space();
    if (!accept('}')) {
      do {
        skip_space();
        std::string key = string();
        require(':');
        skip_space();
        json_value inside = value(depth + 1);
        members.push_back({std::move(key), std::move(inside)});
        skip_space();
      } while (accept(','));
      require('}');
    }
    std::vector<std::size_t>& order = result.children_->by_key;
    order = detail::sorted_positions(members.size(), {[](const void* of, std::size_t i, std::size_t k) {
                                                        const auto& all =
                                                            *static_cast<const std::vector<json_member>*>(of);
                                                        return all[i].key < all[k].key;
                                                      },
                                                      &members});
    for (std::size_t i = 1; i < order.size(); ++i)
      if (members[order[i - 1]].key == members[order[i]].key)
        refuse("the key '", members[order[i]].key, "' stands twice in the object that ends here");
  }

  std::string_view all_;
  std::string_view source_;
  json_limits limits_;
  std::size_t at_ = 0, count_ = 0;
};

inline json_value parse_json(std::string_view document, std::string_view source, const json_limits& limits = {}) {
  return json_parser(document, source, limits).parse();
}

/// A file as one document; messages name it by its path.
class json_file {
 public:
  explicit json_file(const std::filesystem::path& path, std::uintmax_t limit = std::uintmax_t{1} << 28)
      : source_(path.string()) {
    const auto bytes = read_file(path, limit);
    root_ = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, source_);
  }
  /// A document in memory under a name for messages.
  json_file(std::string_view document, std::string source)
      : source_(std::move(source)), root_(parse_json(document, source_)) {}
  json_ref root() const { return {root_, source_}; }

 private:
  std::string source_;
  json_value root_;
};

/// `characters` as a JSON string with its quotation marks; what need not be escaped is not.
inline std::string json_quoted(std::string_view characters) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : characters) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (byte < 0x20) {
          out += "\\u00";
          out += digits[byte >> 4];
          out += digits[byte & 15];
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

}  // namespace hocket::io
