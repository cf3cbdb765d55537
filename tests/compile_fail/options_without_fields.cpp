// expect: (constraint|OptionStruct)
#include <string>

#include <hocket/core/options.hpp>

struct stft_like {
  std::size_t n_fft = 2048;
#if defined(HOCKET_RIGHT)
  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("n_fft", self.n_fft, "samples: length of the transform");
  }
#endif
};

std::string print(const stft_like& options) { return hocket::to_text(options); }
