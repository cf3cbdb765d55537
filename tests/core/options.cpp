#include <hocket/core/options.hpp>

#include "catch.hpp"

namespace {

struct sample_options {
  std::size_t n_fft = 2048;
  std::optional<double> top_db = 80;
  bool center = true;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("n_fft", self.n_fft, "samples: length of the transform");
    visit("top_db", self.top_db, "dB: range kept below the peak");
    visit("center", self.center, "whether frame f is centred at sample f * hop_length");
  }
};

}  // namespace

TEST_CASE("options print and read back", "[core][options]") {
  sample_options options;
  CHECK(hocket::to_text(options) == "n_fft=2048 top_db=80 center=true");
  hocket::set_option(options, "top_db=none");
  hocket::set_option(options, "n_fft=400");
  CHECK_FALSE(options.top_db.has_value());
  CHECK(options.n_fft == 400);
}

TEST_CASE("an unknown or malformed option is refused by name", "[core][options]") {
  sample_options options;
  for (const char* wrong : {"nfft=1", "n_fft=-1", "n_fft=1.5", "n_fft=", "center=yes", "top_db=nan", "n_fft"}) {
    INFO(wrong);
    CHECK_THROWS_AS(hocket::set_option(options, wrong), hocket::error);
  }
}
