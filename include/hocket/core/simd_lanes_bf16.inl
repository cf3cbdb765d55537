// Registers of f32 from and to bf16 in memory, inside a SIMD body that has included core/simd_lanes.inl.

typedef std::uint32_t register_words __attribute__((vector_size(HOCKET_SIMD_BYTES)));
typedef std::uint16_t register_halves __attribute__((vector_size(HOCKET_SIMD_BYTES / 2)));
typedef std::uint16_t loose_halves __attribute__((vector_size(HOCKET_SIMD_BYTES / 2), aligned(2), may_alias));

/// There is no register of bf16; clang forms its type when it weighs the templates of load and store.
template <>
struct register_of<bf16> {
  typedef register_halves full;
  typedef loose_halves loose;
};

HOCKET_ALWAYS_INLINE register_words widened(register_halves x) {
#if defined(__x86_64__) && !defined(__clang__) && HOCKET_SIMD_BYTES == 64
  typedef short sixteen __attribute__((vector_size(32)));  // g++ 12 takes five instructions for its own conversion
  typedef int words __attribute__((vector_size(64)));
  return reinterpret_cast<register_words>(
      __builtin_ia32_pmovzxwd512_mask(reinterpret_cast<sixteen>(x), words{}, static_cast<unsigned short>(-1)));
#else
  return __builtin_convertvector(x, register_words);
#endif
}
HOCKET_ALWAYS_INLINE vec<float> load(const bf16* x) {
  return reinterpret_cast<vec<float>>(widened(register_halves(*reinterpret_cast<const loose_halves*>(x))) << 16);
}
/// Rounds to nearest even, NaN to a quiet NaN, as to_bf16.
HOCKET_ALWAYS_INLINE register_halves to_halves(vec<float> value) {
  const register_words bits = reinterpret_cast<register_words>(value), top = bits >> 16;
  const register_words rounded = (bits + ((top & 1u) + 0x7fffu)) >> 16;
  return __builtin_convertvector(value == value ? rounded : (top | 0x40u), register_halves);
}
/// in_hardware: rounds_in_hardware() of core/amx.hpp, asked for once outside a loop.
HOCKET_ALWAYS_INLINE register_halves to_halves(vec<float> value, [[maybe_unused]] bool in_hardware) {
#if defined(__x86_64__) && HOCKET_SIMD_BYTES == 64
  if (in_hardware) {
    register_halves made;
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(made) : "v"(value));
    return made;
  }
#endif
  return to_halves(value);
}
HOCKET_ALWAYS_INLINE void store(bf16* x, vec<float> value, bool in_hardware = false) {
  *reinterpret_cast<loose_halves*>(x) = loose_halves(to_halves(value, in_hardware));
}
HOCKET_ALWAYS_INLINE vec<float> load_some(const bf16* x, std::size_t count, float rest) {
  vec<float> value = vec<float>{} + rest;
  for (std::size_t i = 0; i < count; ++i) value[i] = to_f32(x[i]);
  return value;
}
HOCKET_ALWAYS_INLINE void store_some(bf16* x, std::size_t count, vec<float> value) {
  for (std::size_t i = 0; i < count; ++i) x[i] = to_bf16(value[i]);
}
