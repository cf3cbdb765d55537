// The CUDA chain from host memory to host memory on the executor: what the CPU gives, for presets and features, for one
// clip and for ragged batches, with a count of the kernels that answered.
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <string>
#include <vector>

#include <hocket/audio/cuda_mfcc.cuh>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "error_kind.hpp"

namespace {

using namespace hocket;
using audio::feature;
using tests::kind_of;

std::vector<float> noise(std::size_t n, std::uint64_t seed) {
  philox random(seed);
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(random.next_uniform() - 0.5);
  return x;
}

/// The 2x rule: no further from the f64 chain than twice what the CPU's f32 chain is.
template <class T, class Wide>
comparison against_cpu(const audio::matrix<T>& ours, const audio::matrix<T>& cpu32, const audio::matrix<Wide>& cpu64) {
  comparison result;
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < cpu64.values.size(); ++i) {
    error = std::max(error, static_cast<double>(std::abs(Wide(cpu32.values[i]) - cpu64.values[i])));
    largest = std::max(largest, static_cast<double>(std::abs(cpu64.values[i])));
  }
  result.add(ours.rows == cpu64.rows && ours.columns == cpu64.columns ? 0 : 1, 0);
  for (std::size_t i = 0; result.ok && i < cpu64.values.size(); ++i)
    result.add(static_cast<double>(std::abs(Wide(ours.values[i]) - cpu64.values[i])),
               peer_bound<float>(error, largest));
  return result;
}

}  // namespace

TEST_CASE("the CUDA chain gives what the CPU gives", "[audio][cuda_host]") {
  const double rate = 8000;
  const auto clip = noise(1500, 3);
  const std::vector<double> wide(clip.begin(), clip.end());
  for (const std::string name : {"librosa-0.11", "torchaudio", "kaldi"})
    for (const feature what : {feature::mel, feature::mfcc}) {
      auto options = audio::preset(name);
      options.n_fft = options.win_length = 256;
      options.hop_length = 100;
      options.n_mels = 20;
      options.n_mfcc = 8;
      cuda_host::machine machine;
      cuda_host::launch_counts.clear();
      audio::cuda_mfcc_plan<cuda_on_host> plan(options, rate, what, machine.device());
      const auto ours = plan(make_view(clip));
      const auto result = against_cpu(ours, audio::mfcc_plan<float>(options, rate, what)(make_view(clip)),
                                      audio::mfcc_plan<double>(options, rate, what)(make_view(wide)));
      INFO(name << " " << std::string(name_of(what)) << " " << result.message());
      CHECK(result);
      CHECK(result.count > 20);
      std::size_t others = 0;
      for (const auto& [kernel, count] : cuda_host::launch_counts) others += kernel.rfind("hocket_mfcc_", 0) != 0;
      CHECK(others == 0);
      CHECK(cuda_host::launch_counts.size() >= 1);
    }
}

TEST_CASE("the complex transform on CUDA, and clip-wide steps", "[audio][cuda_host]") {
  auto options = audio::preset("librosa-0.11");
  options.n_fft = options.win_length = 60;
  options.hop_length = 31;
  options.n_mels = 8;
  options.n_mfcc = 8;
  const auto clip = noise(200, 5);
  const std::vector<double> wide(clip.begin(), clip.end());
  cuda_host::machine machine;
  const auto stft = against_cpu(
      audio::cuda_mfcc_plan<cuda_on_host>(options, 8000, feature::stft, machine.device()).stft(make_view(clip)),
      audio::mfcc_plan<float>(options, 8000, feature::stft).stft(make_view(clip)),
      audio::mfcc_plan<double>(options, 8000, feature::stft).stft(make_view(wide)));
  INFO(stft.message());
  CHECK(stft);
  options.preemphasis = 0.97;
  for (const auto start : {audio::emphasis_start::keep, audio::emphasis_start::extrapolate}) {
    options.preemphasis_over = audio::emphasis_scope::clip;
    options.preemphasis_start = start;
    const auto result =
        against_cpu(audio::cuda_mfcc_plan<cuda_on_host>(options, 8000, feature::mel, machine.device())(make_view(clip)),
                    audio::mfcc_plan<float>(options, 8000, feature::mel)(make_view(clip)),
                    audio::mfcc_plan<double>(options, 8000, feature::mel)(make_view(wide)));
    INFO(result.message());
    CHECK(result);
  }
}

TEST_CASE("ragged clips in one batch have the bits that each has alone", "[audio][cuda_host]") {
  auto options = audio::preset("librosa-0.11");
  options.n_fft = options.win_length = 64;
  options.hop_length = 20;
  options.n_mels = 10;
  options.n_mfcc = 5;
  cuda_host::machine machine;
  audio::cuda_mfcc_plan<cuda_on_host> plan(options, 8000, feature::mfcc, machine.device());
  std::vector<std::vector<float>> clips;
  std::vector<view<const float, 1>> views;
  for (const std::size_t n : std::vector<std::size_t>{300, 33, 64, 501}) clips.push_back(noise(n, n));
  for (const auto& clip : clips) views.push_back(make_view(clip));
  const auto together = plan.extract(views);
  REQUIRE(together.size() == clips.size());
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const auto alone = plan(views[i]);
    CHECK((alone.rows == 5 && together[i].rows == 5));
    CHECK(alone.columns == audio::mfcc_plan<float>(options, 8000).frames(clips[i].size()));
    REQUIRE(alone.values.size() == together[i].values.size());
    CHECK(std::memcmp(alone.values.data(), together[i].values.data(), alone.values.size() * sizeof(float)) == 0);
  }
  CHECK(plan.extract({}).empty());
}

TEST_CASE("what the CUDA chain refuses, by name", "[audio][cuda_host]") {
  const auto options = audio::preset("librosa-0.11");
  const auto clip = noise(3000, 1);
  cuda_host::machine machine;
  audio::cuda_mfcc_plan<cuda_on_host> plan(options, 8000, feature::mfcc, machine.device());
  CHECK(kind_of([&] { plan.stft(make_view(clip)); }) == "unsupported_shape");
  CHECK(kind_of([&] { plan(view<const float, 1>(nullptr, {10})); }) == "bad_pointer");
  machine.limit_memory(machine.memory_in_use() + 100);
  CHECK(kind_of([&] { plan(make_view(clip)); }) == "out_of_memory");
  CHECK(kind_of([&] { audio::cuda_mfcc_plan<cuda_on_host>(options, 8000, feature::mfcc, cuda_on_host{}); }) ==
        "no_device");
  auto large = options;
  large.n_fft = 1 << 16;
  machine.limit_memory(std::size_t{1} << 30);
  CHECK(kind_of([&] { audio::cuda_mfcc_plan<cuda_on_host>(large, 8000, feature::mfcc, machine.device()); }) ==
        "unsupported_shape");
}
