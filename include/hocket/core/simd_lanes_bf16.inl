// Registers of f32 from and to bf16 in memory, inside a SIMD body that has included core/simd_lanes.inl.

typedef std::uint32_t register_words __attribute__((vector_size(HOCKET_SIMD_BYTES)));
typedef std::uint16_t register_halves __attribute__((vector_size(HOCKET_SIMD_BYTES / 2)));
typedef std::uint16_t loose_halves __attribute__((vector_size(HOCKET_SIMD_BYTES / 2), aligned(2), may_alias));

HOCKET_ALWAYS_INLINE vec<float> load(const bf16* x) {
  const register_halves bits = register_halves(*reinterpret_cast<const loose_halves*>(x));
  return reinterpret_cast<vec<float>>(__builtin_convertvector(bits, register_words) << 16);
}
/// Rounds to nearest even, NaN to a quiet NaN, as to_bf16.
HOCKET_ALWAYS_INLINE void store(bf16* x, vec<float> value) {
  const register_words bits = reinterpret_cast<register_words>(value);
  const register_words nan = (bits & 0x7fffffffu) > 0x7f800000u ? register_words{} + 0x00400000u : register_words{};
  const register_words up = nan != 0 ? register_words{} : (bits >> 16 & 1u) + 0x7fffu;
  const register_words rounded = ((bits | nan) + up) >> 16;
  *reinterpret_cast<loose_halves*>(x) = loose_halves(__builtin_convertvector(rounded, register_halves));
}
HOCKET_ALWAYS_INLINE vec<float> load_some(const bf16* x, std::size_t count, float rest) {
  vec<float> value = vec<float>{} + rest;
  for (std::size_t i = 0; i < count; ++i) value[i] = to_f32(x[i]);
  return value;
}
HOCKET_ALWAYS_INLINE void store_some(bf16* x, std::size_t count, vec<float> value) {
  for (std::size_t i = 0; i < count; ++i) x[i] = to_bf16(value[i]);
}
