// Rows of real transforms: every arm of kernels/fft by name, and FFTW called once per row as "fftw-rows".
#include <algorithm>
#include <string_view>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/fft/arms.hpp>

#include "capi.hpp"

namespace {

namespace fft = hocket::kernels::fft;
using hocket::capi::runnable;

/// (batch, n) real -> (batch, n / 2 + 1) pairs. Transforms may overwrite their input and FFTW wants the alignment it
/// was planned for, so every arm works on aligned copies: the first run reads `input` and writes `output`, later runs
/// compute the same again.
class rows_of_transforms final : public runnable {
 public:
  rows_of_transforms(const char* engine, std::size_t n, std::size_t batch) {
    const bool row_by_row = std::string_view(engine) == "fftw-rows";
    shape_ = {fft::kind::real_forward, n, row_by_row ? 1 : batch};
    calls_ = row_by_row ? batch : 1;
    rows = batch;
    columns = n / 2 + 1;
    // rows of one plan are dense; rows of their own begin on a boundary
    const auto pitch = [&](std::size_t size) { return row_by_row ? (size + 15) / 16 * 16 : size; };
    in_pitch_ = pitch(shape_.in_row());
    out_pitch_ = pitch(shape_.out_row());
    input_ = hocket::buffer<float>(batch * in_pitch_);
    output_ = hocket::buffer<float>(batch * out_pitch_);
    const std::string_view wanted = row_by_row ? "fftw" : engine;
    for (const auto& arm : fft::arms<float>())
      if (arm.name == wanted) planned_ = arm.run(shape_);
    hocket::expects(planned_ != nullptr, hocket::errc::not_built, "this build has no FFT arm ", wanted);
  }

  void run(const float* input, float* output) override {
    if (!filled_)
      for (std::size_t row = 0; row < rows; ++row)
        std::copy_n(input + row * shape_.in_row(), shape_.in_row(), input_.data() + row * in_pitch_);
    for (std::size_t call = 0; call < calls_; ++call)
      planned_->run(input_.data() + call * in_pitch_, output_.data() + call * out_pitch_);
    if (!filled_)
      for (std::size_t row = 0; row < rows; ++row)
        std::copy_n(output_.data() + row * out_pitch_, shape_.out_row(), output + row * shape_.out_row());
    filled_ = true;
  }

 private:
  hocket::buffer<float> input_, output_;
  fft::shape shape_;
  std::size_t calls_ = 1, in_pitch_ = 0, out_pitch_ = 0;
  std::unique_ptr<fft::planned<float>> planned_;
  bool filled_ = false;
};

}  // namespace

HOCKET_CAPI void* hocket_fft(const char* engine, std::size_t n, std::size_t batch) {
  return hocket::capi::guarded([&] { return std::make_unique<rows_of_transforms>(engine, n, batch); });
}
