#include <vector>

#include <hocket/hocket.hpp>

double first_coefficient(const std::vector<float>& clip, double sample_rate) {
  const hocket::audio::mfcc_plan<float> plan(hocket::audio::preset("librosa-0.11"), sample_rate);
  const auto mfcc = plan(hocket::view<const float, 1>(clip.data(), {clip.size()}));
  return static_cast<double>(mfcc(0, 20));
}
