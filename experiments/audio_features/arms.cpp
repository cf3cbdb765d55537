// Every arm in both precisions, compiled once for the programs and the tests.
#include "experiments/audio_features/arms.hpp"

namespace hocket::experiments::audio_features {

template std::unique_ptr<arm<float>> make_arm<float>(std::string_view, double);
template std::unique_ptr<arm<double>> make_arm<double>(std::string_view, double);

}  // namespace hocket::experiments::audio_features
