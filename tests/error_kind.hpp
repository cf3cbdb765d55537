// What a call is refused with.
#pragma once

#include <string>

#include <hocket/core/error.hpp>

namespace hocket::tests {

/// The name of the error that body() throws; "accepted" if it throws none.
template <class Body>
std::string kind_of(Body&& body) {
  try {
    body();
  } catch (const error& problem) {
    return std::string(name_of(problem.kind()));
  }
  return "accepted";
}

/// Name and message of the error that body() throws; empty if it throws none.
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const error& problem) {
    return text(name_of(problem.kind()), ": ", problem.what());
  }
  return "";
}

inline bool starts(const std::string& text, const std::string& with) { return text.rfind(with, 0) == 0; }

}  // namespace hocket::tests
