// Prints the first cepstral coefficient of a 1 kHz tone at full scale, and how far the two translation units are apart.
#include <cmath>
#include <cstdio>
#include <numbers>
#include <vector>

#include <hocket/hocket.hpp>

double first_coefficient(const std::vector<float>& clip, double sample_rate);  // two.cpp

int main() {
  constexpr double sample_rate = 22050;
  std::vector<float> clip(22050);
  for (std::size_t i = 0; i < clip.size(); ++i)
    clip[i] = static_cast<float>(std::sin(2 * std::numbers::pi * 1000 / sample_rate * static_cast<double>(i)));

  const hocket::audio::mfcc_plan<double> plan(hocket::audio::preset("librosa-0.11"), sample_rate);
  const std::vector<double> exact(clip.begin(), clip.end());
  const auto mfcc = plan(hocket::view<const double, 1>(exact.data(), {exact.size()}));
  std::printf("%s %zu %zu %.6f %.6f\n", hocket::version, mfcc.rows, mfcc.columns, mfcc(0, 20),
              std::abs(mfcc(0, 20) - first_coefficient(clip, sample_rate)) / std::abs(mfcc(0, 20)));
}
