// The part of JSON Schema that reports/schema/record.schema.json uses. A keyword outside that part is an error of the
// schema, never skipped: a check that silently does nothing would pass everything.
#pragma once

#include <cmath>
#include <regex>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <hocket/core/error.hpp>

namespace hocket::measure {

namespace detail {

inline bool has_json_type(const nlohmann::json& value, const std::string& name) {
  if (name == "object") return value.is_object();
  if (name == "array") return value.is_array();
  if (name == "string") return value.is_string();
  if (name == "number") return value.is_number();
  if (name == "integer")  // 1.0 is an integer to JSON Schema
    return value.is_number_integer() ||
           (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
  if (name == "boolean") return value.is_boolean();
  if (name == "null") return value.is_null();
  fail(errc::bad_option, "schema: unknown type ", name);
}

inline std::string brief(const nlohmann::json& value) {
  const std::string all = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return all.size() <= 60 ? all : all.substr(0, 57) + "...";
}

}  // namespace detail

/// Appends every way in which `value` breaks `schema` to `found`, as "where: what".
inline void schema_violations(const nlohmann::json& value, const nlohmann::json& schema, const std::string& where,
                              std::vector<std::string>& found) {
  using detail::brief;
  for (const auto& [keyword, rule] : schema.items()) {
    if (keyword == "type") {
      bool matches = false;
      const auto names = rule.is_array() ? rule : nlohmann::json::array({rule});
      for (const auto& name : names) matches = matches || detail::has_json_type(value, name.get<std::string>());
      if (!matches) found.push_back(text(where, ": ", brief(value), " is not of type ", rule.dump()));
    } else if (keyword == "const") {
      if (value != rule) found.push_back(text(where, ": ", brief(value), " must be ", rule.dump()));
    } else if (keyword == "enum") {
      bool listed = false;
      for (const auto& one : rule) listed = listed || one == value;
      if (!listed) found.push_back(text(where, ": ", brief(value), " is not one of ", rule.dump()));
    } else if (keyword == "required") {
      for (const auto& name : rule)
        if (value.is_object() && !value.contains(name.get<std::string>()))
          found.push_back(text(where, ": has no '", name.get<std::string>(), "'"));
    } else if (keyword == "properties") {
      if (value.is_object())
        for (const auto& [name, member] : rule.items())
          if (value.contains(name)) schema_violations(value.at(name), member, text(where, ".", name), found);
    } else if (keyword == "additionalProperties") {
      if (!value.is_object()) continue;
      const nlohmann::json known = schema.value("properties", nlohmann::json::object());
      for (const auto& [name, member] : value.items()) {
        if (known.contains(name)) continue;
        if (rule.is_boolean() && !rule.get<bool>()) found.push_back(text(where, ": unknown field '", name, "'"));
        if (rule.is_object()) schema_violations(member, rule, text(where, ".", name), found);
      }
    } else if (keyword == "items") {
      if (value.is_array())
        for (std::size_t i = 0; i < value.size(); ++i)
          schema_violations(value[i], rule, text(where, "[", i, "]"), found);
    } else if (keyword == "minItems") {
      if (value.is_array() && value.size() < rule.get<std::size_t>())
        found.push_back(text(where, ": has ", value.size(), " elements, needs ", rule.dump()));
    } else if (keyword == "maxItems") {
      if (value.is_array() && value.size() > rule.get<std::size_t>())
        found.push_back(text(where, ": has ", value.size(), " elements, may have ", rule.dump()));
    } else if (keyword == "minLength") {
      if (value.is_string() && value.get_ref<const std::string&>().size() < rule.get<std::size_t>())
        found.push_back(text(where, ": '", value.get_ref<const std::string&>(), "' is too short"));
    } else if (keyword == "pattern") {
      if (value.is_string() &&
          !std::regex_search(value.get_ref<const std::string&>(), std::regex(rule.get<std::string>())))
        found.push_back(text(where, ": ", brief(value), " does not match ", rule.dump()));
    } else if (keyword != "$schema" && keyword != "$id" && keyword != "title" && keyword != "description") {
      fail(errc::bad_option, "schema: keyword ", keyword, " is not supported");
    }
  }
}

}  // namespace hocket::measure
