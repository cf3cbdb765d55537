// Machine and build as measure/ describes them, so that a comparison's record says the same as an experiment's.
#include <hocket/measure/build.hpp>
#include <hocket/measure/machine.hpp>
#include <hocket/measure/record_json.hpp>

#include "capi.hpp"

HOCKET_CAPI const char* hocket_context() {
  static std::string text;
  try {
    const hocket::measure::json context = {
        {"provenance", to_json(hocket::measure::describe_build())},
        {"machine", hocket::measure::detail::value_to_json(hocket::measure::describe_machine(), "machine")}};
    text = context.dump();
  } catch (const std::exception& failure) {
    hocket::capi::last_error() = failure.what();
    text = "{}";
  }
  return text.c_str();
}
