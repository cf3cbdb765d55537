// One case in one process: fork and exec of the same program, so that a crash, a leak or a runaway loses one case.
// Specification, result and log travel through anonymous memory files: a killed driver leaves nothing behind, and its
// child dies with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include <hocket/measure/record.hpp>

#include "experiments/support/driver.hpp"

namespace hocket::experiments {

/// The verb under which the program calls itself.
inline constexpr const char* case_verb = "__case";

struct case_outcome {
  measure::record_status status = measure::record_status::failed;
  std::optional<measure::record_error> error;
  nlohmann::json body = nlohmann::json::object();  ///< members of the record that the case filled in
  double wall_s = 0;
  std::optional<std::int64_t> rss_peak_bytes;
  bool interrupted = false;  ///< SIGINT or SIGTERM: the child was killed, nothing is to be recorded
};

/// Blocks SIGINT, SIGTERM and SIGCHLD in this process so that run_case can wait for them; call once before the first
/// case.
void hold_signals();
/// Whether an interrupt is waiting.
bool interrupt_pending();

/// Runs one case to its end, its timeout or an interrupt. `head` is the case as it will stand in the record.
case_outcome run_case(const measure::record_head& head, const case_spec& spec, const run_options& options,
                      const std::string& code_digest);

/// The child's side: argv is {program, "__case", specification fd, result fd}.
int case_main(int argc, char** argv, const experiment& what);

}  // namespace hocket::experiments
