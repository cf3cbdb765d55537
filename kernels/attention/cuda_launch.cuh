// Launchers of the attention kernels: validate, choose grid and entry point, start. They do not wait.
#pragma once

#include <array>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/attention/cuda.cuh>
#include <hocket/kernels/attention/shape.hpp>

namespace hocket::kernels::attention::gpu {

inline constexpr std::size_t widest = 128;

/// Floats of workspace that `backward` needs.
inline std::size_t workspace(const attention::shape& s) { return s.batch * s.heads * s.queries; }

namespace detail {

inline unsigned narrow(std::size_t x) { return static_cast<unsigned>(x); }
inline unsigned tiles(std::size_t rows, std::size_t size = block_rows) { return narrow((rows + size - 1) / size); }

/// The smallest padded width that holds D: 32, 64, 96 or 128; its index.
inline std::size_t padded(std::size_t width) { return (width + 31) / 32 - 1; }

template <class T>
lines<T> lines_of(const rows_of<T>& x, std::size_t width) {
  const auto multiple = [](std::size_t elements) { return elements * sizeof(T) % 16 == 0; };
  return {x.data, x.batch, x.head, x.row,
          reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0 && multiple(x.batch) && multiple(x.head) &&
              multiple(x.row) && multiple(width)};
}

template <class T>
facts facts_of(const attention::shape& s, const inputs<T>& in) {
  const std::size_t window = s.window >= s.queries + s.keys ? 0 : s.window;  // wider than any distance: no window
  return {narrow(s.heads),
          narrow(s.kv_heads),
          narrow(s.queries),
          narrow(s.keys),
          narrow(s.width),
          narrow(s.prefix),
          narrow(window),
          narrow(s.batch),
          s.causal,
          s.prefix > 0 && in.prefix_k.batch == 0,
          static_cast<float>(s.scale),
          in.lengths.query_lengths,
          in.lengths.key_lengths,
          in.lengths.query_starts,
          in.lengths.key_starts,
          in.bias.data,
          in.bias.batch,
          in.bias.head,
          in.bias.row,
          {narrow(s.drop.seed & 0xffffffffu), narrow(s.drop.seed >> 32), narrow(s.drop.stream & 0xffffffffu),
           narrow(s.drop.stream >> 32), s.drop.threshold, static_cast<float>(s.drop.scale)}};
}

template <class T>
sources<T> sources_of(const attention::shape& s, const inputs<T>& in) {
  return {lines_of(in.q, s.width), lines_of(in.k, s.width), lines_of(in.v, s.width), lines_of(in.prefix_k, s.width),
          lines_of(in.prefix_v, s.width)};
}

/// Checks that all rows lie on the device. Of packed rows only the longest item is known to be there: starts lie on the
/// device too.
template <class Device, class T>
void require_rows(const Device& device, const char* what, const rows_of<T>& x, std::size_t batch, std::size_t heads,
                  std::size_t rows, std::size_t width, bool packed) {
  if (batch == 0 || rows == 0) return;
  const std::size_t items = packed ? 0 : (batch - 1) * x.batch;
  expects(heads == 1 || x.head >= width, errc::unsupported_shape, what, ": heads of ", width, " elements cannot be ",
          x.head, " apart");
  expects(rows == 1 || x.row >= width, errc::unsupported_shape, what, ": rows of ", width, " elements cannot be ",
          x.row, " apart");
  require_device_memory(device, what, x.data,
                        (items + (heads - 1) * x.head + (packed ? 0 : rows - 1) * x.row + width) * sizeof(T));
}

template <class Device, class T>
void require_inputs(const Device& device, const attention::shape& s, const inputs<T>& in) {
  require_shape(s);
  expects(s.width <= widest, errc::unsupported_shape, "attention: heads of width ", s.width,
          " are not supported on CUDA; the widest is ", widest);
  for (const std::size_t size : {s.batch, s.heads, s.queries, s.keys, s.prefix})
    expects(size < std::size_t{1} << 29, errc::unsupported_shape, "attention: a dimension of ", size,
            " is above 2^29; cut the call");
  const ragged& r = in.lengths;
  require_rows(device, "attention: q", in.q, s.batch, s.heads, s.queries, s.width, r.query_starts);
  require_rows(device, "attention: k", in.k, s.batch, s.kv_heads, s.keys, s.width, r.key_starts);
  require_rows(device, "attention: v", in.v, s.batch, s.kv_heads, s.keys, s.width, r.key_starts);
  require_rows(device, "attention: prefix k", in.prefix_k, s.batch, s.kv_heads, s.prefix, s.width, false);
  require_rows(device, "attention: prefix v", in.prefix_v, s.batch, s.kv_heads, s.prefix, s.width, false);
  expects(s.prefix == 0 || (in.prefix_k.batch == 0) == (in.prefix_v.batch == 0), errc::unsupported_shape,
          "attention: prefix keys are ", in.prefix_k.batch, " and values ", in.prefix_v.batch,
          " elements apart; items share both or neither");
  for (const std::uint32_t* p : {r.query_lengths, r.key_lengths, r.query_starts, r.key_starts})
    if (p) require_device_memory(device, "attention: lengths", p, s.batch * sizeof(std::uint32_t));
  expects(!r.query_starts || r.query_lengths, errc::bad_option,
          "attention: packed queries need their lengths beside their starts");
  expects(!r.key_starts || r.key_lengths, errc::bad_option,
          "attention: packed keys need their lengths beside their starts");
  if (in.bias.data && s.batch && s.queries && s.keys)
    require_device_memory(
        device, "attention: bias", in.bias.data,
        ((s.batch - 1) * in.bias.batch + (s.heads - 1) * in.bias.head + (s.queries - 1) * in.bias.row + s.keys) * 4);
}

/// The entry points of one kernel by padded width.
#define HOCKET_BY_WIDTH(T, kernel, drop)                                                                            \
  std::array {                                                                                                      \
    HOCKET_ENTRY(T, hocket_attention_##kernel##_d32##drop), HOCKET_ENTRY(T, hocket_attention_##kernel##_d64##drop), \
        HOCKET_ENTRY(T, hocket_attention_##kernel##_d96##drop),                                                     \
        HOCKET_ENTRY(T, hocket_attention_##kernel##_d128##drop)                                                     \
  }
#define HOCKET_CHOSEN(T, kernel, s) \
  ((s).drop.none() ? HOCKET_BY_WIDTH(T, kernel, ) : HOCKET_BY_WIDTH(T, kernel, _drop))[detail::padded((s).width)]

}  // namespace detail

/// out and lse (B, H, queries) of shape.hpp, everything on the device; T is float, f16 or bf16. Lengths past the sizes
/// of the shape are cut to them.
template <CudaDevice Device, class T>
void forward(const Device& device, const attention::shape& s, const inputs<T>& in, const outputs<T>& to) {
  detail::require_inputs(device, s, in);
  detail::require_rows(device, "attention: out", to.out, s.batch, s.heads, s.queries, s.width, in.lengths.query_starts);
  require_device_memory(device, "attention: lse", to.lse, workspace(s) * sizeof(float));
  if (s.batch == 0 || s.queries == 0) return;
  const auto [name, kernel] = HOCKET_CHOSEN(T, forward, s);
  launch(device, name,
         {{detail::tiles(s.queries), detail::narrow(s.heads), detail::narrow(s.batch)}, {threads, 1, 1}, 0}, kernel,
         detail::facts_of(s, in), detail::sources_of(s, in), detail::lines_of(to.out, s.width), to.lse);
}

/// Gradients from what the forward pass read and wrote, and dout (laid out by its own strides, packed like q); `work`
/// is workspace(s) floats. Every element of dq, dk, dv and the prefix's gradients is written.
template <CudaDevice Device, class T>
void backward(const Device& device, const attention::shape& s, const inputs<T>& in, const rows_of<const T>& out,
              const rows_of<const T>& dout, const float* lse, const gradients<T>& to, float* work) {
  const ragged& r = in.lengths;
  detail::require_inputs(device, s, in);
  const rows_of<const T> read[] = {out, dout};  // named: nvcc 13 fails on a loop over braces here
  const rows_of<T> own[] = {to.dk, to.dv}, prefixes[] = {to.dprefix_k, to.dprefix_v};
  for (const auto& x : read)
    detail::require_rows(device, "attention: out or dout", x, s.batch, s.heads, s.queries, s.width, r.query_starts);
  detail::require_rows(device, "attention: dq", to.dq, s.batch, s.heads, s.queries, s.width, r.query_starts);
  for (const auto& x : own)
    detail::require_rows(device, "attention: dk or dv", x, s.batch, s.kv_heads, s.keys, s.width, r.key_starts);
  for (const auto& x : prefixes) {
    detail::require_rows(device, "attention: prefix gradient", x, s.batch, s.kv_heads, s.prefix, s.width, false);
    expects(s.prefix == 0 || (x.batch == 0) == (in.prefix_k.batch == 0), errc::unsupported_shape,
            "attention: prefixes lie ", in.prefix_k.batch, " elements apart and their gradients ", x.batch,
            "; items share both or neither");
  }
  require_device_memory(device, "attention: lse", lse, workspace(s) * sizeof(float));
  require_device_memory(device, "attention: workspace", work, workspace(s) * sizeof(float));
  if (s.batch == 0) return;
  const facts sizes = detail::facts_of(s, in);
  const sources<T> from = detail::sources_of(s, in);
  const upstream<T> up{detail::lines_of(dout, s.width), lse, work};
  const unsigned batch = detail::narrow(s.batch);
  if (s.queries > 0) {
    const auto [name, kernel] = HOCKET_ENTRY(T, hocket_attention_delta);
    launch(device, name, {{detail::tiles(s.queries, threads / 32), sizes.heads, batch}, {threads, 1, 1}, 0}, kernel,
           sizes, detail::lines_of(out, s.width), up.dout, work);
    const auto [dq_name, dq_kernel] = HOCKET_CHOSEN(T, dq, s);
    launch(device, dq_name, {{detail::tiles(s.queries), sizes.heads, batch}, {threads, 1, 1}, 0}, dq_kernel, sizes,
           from, up, detail::lines_of(to.dq, s.width));
  }
  if (s.keys + s.prefix > 0) {
    const auto [name, kernel] = HOCKET_CHOSEN(T, dkv, s);
    const unsigned blocks = detail::tiles(s.prefix) + detail::tiles(s.keys);
    launch(device, name, {{blocks, sizes.kv_heads, batch}, {threads, 1, 1}, 0}, kernel, sizes, from, up,
           key_gradients<T>{detail::lines_of(to.dk, s.width), detail::lines_of(to.dv, s.width),
                            detail::lines_of(to.dprefix_k, s.width), detail::lines_of(to.dprefix_v, s.width)});
  }
}
#undef HOCKET_CHOSEN
#undef HOCKET_BY_WIDTH

}  // namespace hocket::kernels::attention::gpu
