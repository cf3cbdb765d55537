#include "experiments/support/case_process.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hocket/measure/machine.hpp>
#include <hocket/measure/record_json.hpp>

namespace hocket::experiments {

namespace {

using measure::json;

/// An anonymous file in memory; closed at the end of its scope.
class memory_file {
 public:
  explicit memory_file(const char* name) : fd_(memfd_create(name, MFD_CLOEXEC)) {
    expects(fd_ >= 0, errc::out_of_memory, "memfd_create: ", std::strerror(errno));
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() { close(fd_); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

void write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t wrote = write(fd, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    expects(wrote > 0, errc::bad_file, "writing to a memory file: ", std::strerror(errno));
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

/// The file's content from its start, or only its last `tail` bytes.
std::string read_all(int fd, std::optional<std::size_t> tail = {}) {
  const off_t size = lseek(fd, 0, SEEK_END);
  off_t at = tail && size > static_cast<off_t>(*tail) ? size - static_cast<off_t>(*tail) : 0;
  std::string out;
  char part[4096];
  for (ssize_t got; (got = pread(fd, part, sizeof part, at)) > 0; at += got)
    out.append(part, static_cast<std::size_t>(got));
  return out;
}

sigset_t held_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

json options_to_json(const run_options& o, const case_spec& spec) {
  return {{"quick", o.quick},
          {"seeds", o.seeds_flag},
          {"threads", o.threads},
          {"backend", static_cast<int>(o.backend)},
          {"results", std::filesystem::absolute(o.results).string()},
          {"data", o.data.string()},
          {"method", spec.method},
          {"methods", o.methods}};
}

/// Only async-signal-safe calls: this runs between fork and exec.
[[noreturn]] void become_case(pid_t parent, const char* program, char* const* argv, const int* keep, int log,
                              std::optional<rlim_t> address_space) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  for (int i = 0; i < 2; ++i) fcntl(keep[i], F_SETFD, 0);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (address_space) {
    const rlimit limit{*address_space, *address_space};
    setrlimit(RLIMIT_AS, &limit);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(program, argv);
  _exit(127);
}

std::string with_log(std::string message, int log) {
  std::string tail = read_all(log, 2000);
  while (!tail.empty() && (tail.back() == '\n' || tail.back() == ' ')) tail.pop_back();
  return tail.empty() ? message : message + "; its last output: " + tail;
}

case_outcome outcome_of(int wait_status, bool timed_out, double timeout_s, int result, int log) {
  case_outcome out;
  if (timed_out) {
    out.error = {"timeout", with_log(text("killed after ", timeout_s, " s"), log), SIGKILL};
    return out;
  }
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    out.error = {"crashed", with_log(text("killed by signal ", signal, " (", strsignal(signal), ")"), log), signal};
    return out;
  }
  const json said = json::parse(read_all(result), nullptr, false);
  if (said.is_discarded() || WEXITSTATUS(wait_status) != 0) {
    out.error = {"crashed", with_log(text("left with code ", WEXITSTATUS(wait_status)), log), {}};
    return out;
  }
  if (said.contains("rss_peak_bytes")) out.rss_peak_bytes = said.at("rss_peak_bytes").get<std::int64_t>();
  if (said.contains("error")) {
    const std::string kind = said.at("error").at("kind").get<std::string>();
    out.error = {kind, said.at("error").at("message").get<std::string>(), {}};
    if (kind == name_of(errc::no_device) || kind == name_of(errc::not_built))
      out.status = measure::record_status::not_run;
    return out;
  }
  out.status = measure::record_status::ok;
  out.body = said.at("body");
  return out;
}

/// Of this program alone: rusage would count the driver's pages from before exec.
std::optional<std::int64_t> peak_rss_bytes() {
  const std::string kib = measure::detail::value_in("/proc/self/status", "VmHWM", ':');  // "12345 kB"
  if (kib.empty()) return std::nullopt;
  return std::strtoll(kib.c_str(), nullptr, 10) * 1024;
}

}  // namespace

void hold_signals() {
  const sigset_t set = held_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

bool interrupt_pending() {
  sigset_t waiting;
  sigpending(&waiting);
  return sigismember(&waiting, SIGINT) == 1 || sigismember(&waiting, SIGTERM) == 1;
}

case_outcome run_case(const measure::record_head& head, const case_spec& spec, const run_options& options,
                      const std::string& code_digest) {
  using clock = std::chrono::steady_clock;
  const memory_file input("specification"), result("result"), log("log");
  write_all(input.fd(),
            json{{"head", to_json(head)}, {"options", options_to_json(options, spec)}, {"code", code_digest}}.dump());

  const std::string input_fd = text(input.fd()), result_fd = text(result.fd());
  const char* argv[] = {"hocket-case", case_verb, input_fd.c_str(), result_fd.c_str(), nullptr};
  const int keep[] = {input.fd(), result.fd()};
  const double timeout_s = options.timeout_s.value_or(spec.timeout_s);
  std::optional<rlim_t> address_space;
  if (options.memory_mb) address_space = static_cast<rlim_t>(*options.memory_mb) << 20;
  const pid_t parent = getpid();
  const auto start = clock::now();
  const pid_t child = fork();
  expects(child >= 0, errc::out_of_memory, "fork: ", std::strerror(errno));
  if (child == 0) become_case(parent, "/proc/self/exe", const_cast<char* const*>(argv), keep, log.fd(), address_space);
  setpgid(child, child);

  const auto elapsed = [&] { return std::chrono::duration<double>(clock::now() - start).count(); };
  const sigset_t held = held_signals();
  bool timed_out = false, interrupted = false;
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    const double left = timeout_s - elapsed();
    timed_out = left <= 0;
    if (timed_out || interrupted) {
      kill(-child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    const double pause = std::min(left, 1.0);  // at least once a second, whatever happens to signals
    const timespec limit{static_cast<std::time_t>(pause), static_cast<long>((pause - std::floor(pause)) * 1e9)};
    const int signal = sigtimedwait(&held, nullptr, &limit);
    interrupted = signal == SIGINT || signal == SIGTERM;
  }
  if (interrupted) {
    case_outcome out;
    out.interrupted = true;
    return out;
  }
  const double wall_s = elapsed();
  case_outcome out = outcome_of(status, timed_out, timeout_s, result.fd(), log.fd());
  out.wall_s = wall_s;
  return out;
}

int case_main(int argc, char** argv, const experiment& what) {
  if (argc != 4) return exit_usage;
  const int input = std::atoi(argv[2]), result = std::atoi(argv[3]);
  const json given = json::parse(read_all(input));
  const measure::record_head head = measure::head_from_json(given.at("head"));
  const json& o = given.at("options");
  run_options options;
  options.quick = o.at("quick").get<bool>();
  options.seeds_flag = o.at("seeds").get<std::string>();
  options.threads = o.at("threads").get<int>();
  options.backend = static_cast<backend>(o.at("backend").get<int>());
  options.results = o.at("results").get<std::string>();
  options.data = o.at("data").get<std::string>();
  options.methods = o.at("methods").get<std::vector<std::string>>();

  case_spec spec;
  spec.name = head.name;
  spec.method = o.at("method").get<std::string>();
  spec.kind = head.kind;
  spec.options = head.options;
  spec.seed = head.seed;
  spec.protocol = head.protocol;
  spec.data = head.data;

  json said = json::object();
  const auto failed = [&](std::string_view kind, const char* message) {
    said["error"] = {{"kind", kind}, {"message", message}};
  };
  try {
    case_run run(std::move(spec), std::move(options), given.at("code").get<std::string>());
    what.run(run);
    said["body"] = to_json(run.record());
  } catch (const error& problem) {
    failed(name_of(problem.kind()), problem.what());
  } catch (const std::bad_alloc& problem) {
    failed(name_of(errc::out_of_memory), problem.what());
  } catch (const std::exception& problem) {
    failed("exception", problem.what());
  }
  if (const auto peak = peak_rss_bytes()) said["rss_peak_bytes"] = *peak;
  write_all(result, said.dump(-1, ' ', false, json::error_handler_t::replace));
  return exit_ok;
}

}  // namespace hocket::experiments
