#include "experiments/support/store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <hocket/measure/build.hpp>
#include <hocket/measure/record_json.hpp>

namespace hocket::experiments {

namespace {

using measure::json;
namespace fs = std::filesystem;

stored_record summary_of(const json& r, fs::path path) {
  stored_record s;
  s.name = r.at("case").get<std::string>();
  s.key = r.at("key").get<std::string>();
  s.status = r.at("status").get<std::string>();
  s.fingerprint = r.at("machine").at("fingerprint").get<std::string>();
  s.timed = measure::is_timed(
      hocket::detail::option_from_text<measure::record_kind>("kind", r.at("kind").get<std::string>()));
  s.wall_s = r.value("wall_s", 0.0);
  s.path = std::move(path);
  const std::string key = measure::key_of(r, r.at("provenance").at("code_digest").get<std::string>(), s.fingerprint);
  expects(s.key == key && s.path.stem() == key, errc::bad_file, s.path.string(),
          ": its key does not match its content");
  return s;
}

void read_folder(const fs::path& folder, std::map<std::string, stored_record>& into,
                 std::vector<std::string>& damaged) {
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".json" || name.front() == '.' || name.front() == '_') continue;
    try {
      stored_record s = summary_of(measure::read_json(entry.path()), entry.path());
      into.emplace(s.key, std::move(s));
    } catch (const std::exception& problem) {  // ours, or a member of the wrong type
      damaged.push_back(text(entry.path().string(), ": ", problem.what()));
    }
  }
}

}  // namespace

record_store::record_store(fs::path results, std::string experiment)
    : results_(std::move(results)), experiment_(std::move(experiment)) {
  read_folder(folder(), records_, damaged_);
  read_folder(results_ / "_superseded" / experiment_, superseded_, damaged_);
}

const stored_record* record_store::find(const std::string& key) const {
  const auto at = records_.find(key);
  return at == records_.end() ? nullptr : &at->second;
}

const stored_record* record_store::finished(const std::string& key) {
  if (const auto old = superseded_.find(key); old != superseded_.end() && !find(key)) {
    stored_record back = old->second;
    superseded_.erase(old);
    const fs::path path = folder() / back.path.filename();
    std::error_code lost;  // another shard may have taken it
    fs::create_directories(folder());
    fs::rename(back.path, path, lost);
    if (!lost) {
      back.path = path;
      supersede(records_.insert_or_assign(key, std::move(back)).first->second);
    }
  }
  const stored_record* found = find(key);
  return found && (found->status == "ok" || found->status == "skipped") ? found : nullptr;
}

std::optional<double> record_store::earlier_wall_s(const std::string& name) const {
  for (const auto* group : {&records_, &superseded_})
    for (const auto& [key, s] : *group)
      if (s.name == name && s.status == "ok") return s.wall_s;
  return std::nullopt;
}

fs::path record_store::write(const json& record) {
  const fs::path path = measure::write_record(results_, record);
  supersede(records_.insert_or_assign(record.at("key").get<std::string>(), summary_of(record, path)).first->second);
  return path;
}

void record_store::supersede(const stored_record& current) {
  const std::string name = current.name, key = current.key;
  for (auto at = records_.begin(); at != records_.end();) {
    const stored_record& s = at->second;
    if (s.name != name || s.key == key || (s.timed && s.fingerprint != current.fingerprint)) {
      ++at;
      continue;
    }
    stored_record moved = s;
    const fs::path to = results_ / "_superseded" / experiment_ / s.path.filename();
    std::error_code lost;  // another shard may have moved it
    fs::create_directories(to.parent_path());
    fs::rename(s.path, to, lost);
    moved.path = to;
    superseded_.insert_or_assign(moved.key, std::move(moved));
    at = records_.erase(at);
  }
}

void record_store::journal(const std::string& event, const std::string& name, const std::string& key) const {
  fs::create_directories(folder());
  const std::string line =
      json{{"event", event}, {"case", name}, {"key", key}, {"utc", measure::utc_now()}, {"pid", getpid()}}.dump() +
      "\n";
  const int fd = open((folder() / "journal.jsonl").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  expects(fd >= 0, errc::bad_file, (folder() / "journal.jsonl").string(), ": cannot be written");
  const ssize_t wrote = ::write(fd, line.data(), line.size());  // one call: lines of several shards do not mix
  close(fd);
  expects(wrote == static_cast<ssize_t>(line.size()), errc::bad_file, "the journal cannot be written: disk full?");
}

}  // namespace hocket::experiments
