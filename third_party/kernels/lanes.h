// Vectors of column_tiles.cpp: one lane a row. 16 lanes with AVX-512 VNNI, 8 with AVX2. LLMD_LANES is left undefined
// where the instruction set has neither.
#pragma once

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && \
    defined(__AVX512VNNI__)
#define LLMD_LANES 16
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define LLMD_LANES 8
#endif

#ifdef LLMD_LANES

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace lanes {

constexpr int kLanes = LLMD_LANES;

#if LLMD_LANES == 16

using Floats = __m512;
using Ints = __m512i;

// Weights of 8 bits are multiplied as they are.
constexpr bool kNibblesOnly = false;

inline Floats zero() { return _mm512_setzero_ps(); }
inline Floats broadcast(float value) { return _mm512_set1_ps(value); }
inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Floats value) { _mm512_storeu_ps(to, value); }
inline Floats load_halves(const uint16_t* from) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from)); }
inline Ints load_bytes(const void* from) { return _mm512_loadu_si512(from); }
inline void store_bytes(void* to, Ints value) { _mm512_storeu_si512(to, value); }
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
inline void store_first(float* to, int64_t n, Floats value) {
  _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), value);
}

inline Ints low_nibbles(Ints bytes) { return _mm512_and_si512(bytes, _mm512_set1_epi8(0x0f)); }
inline Ints high_nibbles(Ints bytes) { return low_nibbles(_mm512_srli_epi16(bytes, 4)); }
inline Ints flip_signs(Ints bytes) { return _mm512_xor_si512(bytes, _mm512_set1_epi8((char)0x80)); }

// 16 bytes of each row i, i + 4, i + 8, ..., one 128-bit lane a row.
inline Ints load_every_fourth(const uint8_t* const* rows, int i) {
  const auto row = [&](int lane) { return _mm_loadu_si128((const __m128i*)rows[4 * lane + i]); };
  Ints out = _mm512_castsi128_si512(row(0));
  out = _mm512_inserti32x4(out, row(1), 1);
  out = _mm512_inserti32x4(out, row(2), 2);
  return _mm512_inserti32x4(out, row(3), 3);
}
inline Ints unpack_low_32(Ints a, Ints b) { return _mm512_unpacklo_epi32(a, b); }
inline Ints unpack_high_32(Ints a, Ints b) { return _mm512_unpackhi_epi32(a, b); }
inline Ints unpack_low_64(Ints a, Ints b) { return _mm512_unpacklo_epi64(a, b); }
inline Ints unpack_high_64(Ints a, Ints b) { return _mm512_unpackhi_epi64(a, b); }

// The integer dot product of a block, a row a lane: start, and 8 times 4 weights of each row by 4 values of the column.
struct Dot {
  Ints sum;
  void begin(int32_t start) { sum = _mm512_set1_epi32(start); }
  void add(Ints weights, int32_t four) { sum = _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(four)); }
};
inline Floats total(const Dot (&dot)[1], int32_t) { return _mm512_cvtepi32_ps(dot[0].sum); }

inline Floats unpack_low(Floats a, Floats b) { return _mm512_unpacklo_ps(a, b); }
inline Floats unpack_high(Floats a, Floats b) { return _mm512_unpackhi_ps(a, b); }
inline Floats unpack_low_pair(Floats a, Floats b) {
  return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
inline Floats unpack_high_pair(Floats a, Floats b) {
  return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
inline Floats plus(Floats a, Floats b) { return _mm512_add_ps(a, b); }
// Of 16 vectors of which each four were transposed: lane 4q + j of vector 4p + i goes to lane 4p + j of vector 4q + i.
inline void transpose_quarters(Floats (&v)[kLanes]) {
  for (int i = 0; i < 4; ++i) {
    const Floats even01 = _mm512_shuffle_f32x4(v[i], v[4 + i], 0x88);
    const Floats odd01 = _mm512_shuffle_f32x4(v[i], v[4 + i], 0xdd);
    const Floats even23 = _mm512_shuffle_f32x4(v[8 + i], v[12 + i], 0x88);
    const Floats odd23 = _mm512_shuffle_f32x4(v[8 + i], v[12 + i], 0xdd);
    v[i] = _mm512_shuffle_f32x4(even01, even23, 0x88);
    v[4 + i] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
    v[8 + i] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
    v[12 + i] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
  }
}
inline __m128 sum_of_quarters(Floats a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

#else

using Floats = __m256;
using Ints = __m256i;

// VPMADDUBSW saturates at 16 bits: weights of 8 bits are multiplied as two nibbles.
constexpr bool kNibblesOnly = true;

inline Floats zero() { return _mm256_setzero_ps(); }
inline Floats broadcast(float value) { return _mm256_set1_ps(value); }
inline Floats load(const float* from) { return _mm256_loadu_ps(from); }
inline void store(float* to, Floats value) { _mm256_storeu_ps(to, value); }
inline Floats load_halves(const uint16_t* from) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from)); }
inline Ints load_bytes(const void* from) { return _mm256_loadu_si256((const __m256i*)from); }
inline void store_bytes(void* to, Ints value) { _mm256_storeu_si256((__m256i*)to, value); }
inline Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats sum) { return _mm256_fmadd_ps(a, b, sum); }
inline void store_first(float* to, int64_t n, Floats value) {
  if (n == kLanes) {
    _mm256_storeu_ps(to, value);
    return;
  }
  float all[kLanes];
  _mm256_storeu_ps(all, value);
  memcpy(to, all, (size_t)n * sizeof(float));
}

inline Ints low_nibbles(Ints bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f)); }
inline Ints high_nibbles(Ints bytes) { return low_nibbles(_mm256_srli_epi16(bytes, 4)); }
inline Ints flip_signs(Ints bytes) { return _mm256_xor_si256(bytes, _mm256_set1_epi8((char)0x80)); }

inline Ints load_every_fourth(const uint8_t* const* rows, int i) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i*)rows[i])),
                                 _mm_loadu_si128((const __m128i*)rows[4 + i]), 1);
}
inline Ints unpack_low_32(Ints a, Ints b) { return _mm256_unpacklo_epi32(a, b); }
inline Ints unpack_high_32(Ints a, Ints b) { return _mm256_unpackhi_epi32(a, b); }
inline Ints unpack_low_64(Ints a, Ints b) { return _mm256_unpacklo_epi64(a, b); }
inline Ints unpack_high_64(Ints a, Ints b) { return _mm256_unpackhi_epi64(a, b); }

// Of 16-bit sums, which start joins at the end: a block adds 8 times 2 products of at most 15 * 128, which is 30,720.
struct Dot {
  Ints sum;
  void begin(int32_t) { sum = _mm256_setzero_si256(); }
  void add(Ints nibbles, int32_t four) {
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(nibbles, _mm256_set1_epi32(four)));
  }
  Ints times(int16_t factor) const { return _mm256_madd_epi16(sum, _mm256_set1_epi16(factor)); }
};
inline Floats total(const Dot (&dot)[1], int32_t start) {
  return _mm256_cvtepi32_ps(_mm256_add_epi32(dot[0].times(1), _mm256_set1_epi32(start)));
}
// Of low and high nibbles.
inline Floats total(const Dot (&dot)[2], int32_t start) {
  const Ints sum = _mm256_add_epi32(dot[0].times(1), dot[1].times(16));
  return _mm256_cvtepi32_ps(_mm256_add_epi32(sum, _mm256_set1_epi32(start)));
}

inline Floats unpack_low(Floats a, Floats b) { return _mm256_unpacklo_ps(a, b); }
inline Floats unpack_high(Floats a, Floats b) { return _mm256_unpackhi_ps(a, b); }
inline Floats unpack_low_pair(Floats a, Floats b) {
  return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
inline Floats unpack_high_pair(Floats a, Floats b) {
  return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
inline Floats plus(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline void transpose_quarters(Floats (&v)[kLanes]) {
  for (int i = 0; i < 4; ++i) {
    const Floats low = _mm256_permute2f128_ps(v[i], v[4 + i], 0x20);
    v[4 + i] = _mm256_permute2f128_ps(v[i], v[4 + i], 0x31);
    v[i] = low;
  }
}
inline __m128 sum_of_quarters(Floats a) { return _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)); }

#endif

// 16 bytes of each row become four vectors: vector j holds bytes 4j..4j+3 of every row, in order.
inline void transpose(const uint8_t* const* rows, Ints out[4]) {
  const Ints a = load_every_fourth(rows, 0);
  const Ints b = load_every_fourth(rows, 1);
  const Ints c = load_every_fourth(rows, 2);
  const Ints d = load_every_fourth(rows, 3);
  out[0] = unpack_low_64(unpack_low_32(a, b), unpack_low_32(c, d));
  out[1] = unpack_high_64(unpack_low_32(a, b), unpack_low_32(c, d));
  out[2] = unpack_low_64(unpack_high_32(a, b), unpack_high_32(c, d));
  out[3] = unpack_high_64(unpack_high_32(a, b), unpack_high_32(c, d));
}

// Lane j of vector i becomes lane i of vector j.
inline void transpose(Floats (&v)[kLanes]) {
  for (int i = 0; i < kLanes; i += 4) {
    const Floats low01 = unpack_low(v[i], v[i + 1]);
    const Floats high01 = unpack_high(v[i], v[i + 1]);
    const Floats low23 = unpack_low(v[i + 2], v[i + 3]);
    const Floats high23 = unpack_high(v[i + 2], v[i + 3]);
    v[i] = unpack_low_pair(low01, low23);
    v[i + 1] = unpack_high_pair(low01, low23);
    v[i + 2] = unpack_low_pair(high01, high23);
    v[i + 3] = unpack_high_pair(high01, high23);
  }
  transpose_quarters(v);
}

// The sums of four vectors, side by side. Of 16 lanes: with q(i) = (a[i] + a[i + 2]) + (a[i + 1] + a[i + 3]), the sum
// of a is (q(0) + q(8)) + (q(4) + q(12)); of 8 lanes: q(0) + q(4).
inline __m128 sum_of_each(Floats a, Floats b, Floats c, Floats d) {
  const Floats ab = plus(unpack_low(a, b), unpack_high(a, b));
  const Floats cd = plus(unpack_low(c, d), unpack_high(c, d));
  return sum_of_quarters(plus(unpack_low_pair(ab, cd), unpack_high_pair(ab, cd)));
}

}  // namespace lanes

#endif
