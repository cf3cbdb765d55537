// The engines of one room by name: our own, and those of other libraries whose header is included somewhere in the
// program. Vendor headers add theirs before main; afterwards a list is only read, from any thread.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/error.hpp>

namespace hocket {

/// `Entry` has a name; where it also has a rank, "best" is the engine of the highest one.
template <class Entry>
class engine_list {
 public:
  /// What messages say: "dense engine", the room's folder below kernels/, and the library of one vendor header in it.
  struct wording {
    std::string_view what, room, example;
  };

  engine_list(const wording& words, std::initializer_list<Entry> own) : words_(words), known_(own) {}

  /// Registers once per program, however many units include the header: a name that is there stays as it is.
  bool add(const Entry& added) {
    for (const Entry& entry : known_)
      if (entry.name == added.name) return true;
    known_.push_back(added);
    return true;
  }

  /// Throws not_built, with what is known, for a name that nobody registered.
  const Entry& find(std::string_view name) const {
    std::string known = ranked ? "best" : "";
    for (const Entry& entry : known_) {
      if (entry.name == name) return entry;
      known += text(known.empty() ? "" : ", ", entry.name);
    }
    if constexpr (ranked)
      if (name == "best") return best();
    fail(errc::not_built, words_.what, " \"", name, "\" is not in this program (known: ", known,
         "); include its header, e.g. <hocket/kernels/", words_.room, "/vendor_", words_.example, ".hpp> for \"",
         words_.example, "\"");
  }

  auto begin() const { return known_.begin(); }
  auto end() const { return known_.end(); }

 private:
  static constexpr bool ranked = requires(const Entry& entry) { entry.rank; };

  const Entry& best() const {
    const Entry* highest = &known_.front();
    for (const Entry& entry : known_)
      if (entry.rank > highest->rank) highest = &entry;
    return *highest;
  }

  wording words_;
  std::vector<Entry> known_;
};

}  // namespace hocket
