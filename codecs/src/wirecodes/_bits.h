/* What the kernels need from C: unaligned little-endian words, bit reversal and a CRC-32 that costs next to nothing. */

#ifndef WIRECODES_BITS_H
#define WIRECODES_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define WIRECODES_CLMUL 1
#include <immintrin.h>
#endif

/* Memory this long, not used yet, is asked for in pages of 2 MiB: to get 20 MB in pages of 4 KiB takes longer than to decode
 * them. NumPy does the same from 4 MiB on. */
#define HUGE_FROM ((size_t)4 << 20)
#define PAGE ((uintptr_t)4096)

static inline void prefer_huge_pages(uint8_t *start, size_t size)
{
#ifdef MADV_HUGEPAGE
    if (size >= HUGE_FROM) {
        uintptr_t first = ((uintptr_t)start + PAGE - 1) & ~(PAGE - 1);
        madvise((void *)first, ((uintptr_t)start + size - first) & ~(PAGE - 1), MADV_HUGEPAGE); /* advice: may be refused */
    }
#endif
}

static inline uint64_t load64(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void store64(uint8_t *to, uint64_t word)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(to, &word, 8);
}

/* The lowest `count` bits of `word` (at most 16) in the other order. */
static inline uint32_t reversed_bits(uint32_t word, int count)
{
    word = (word & 0x5555) << 1 | (word >> 1 & 0x5555);
    word = (word & 0x3333) << 2 | (word >> 2 & 0x3333);
    word = (word & 0x0f0f) << 4 | (word >> 4 & 0x0f0f);
    word = (word & 0x00ff) << 8 | (word >> 8 & 0x00ff);
    return word >> (16 - count);
}

static uint32_t crc_table[8][256];

/* Called once, when the module is imported. */
static void crc_prepare(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (0xEDB88320u & (0u - (value & 1)));
        crc_table[0][byte] = value;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = crc_table[slice - 1][byte];
            crc_table[slice][byte] = before >> 8 ^ crc_table[0][before & 255];
        }
}

/* Eight bytes a step: about 2 GB/s. */
static uint32_t crc_sliced(uint32_t crc, const uint8_t *data, size_t size)
{
    for (; size >= 8; data += 8, size -= 8) {
        uint64_t word = load64(data) ^ crc;
        crc = 0;
        for (int slice = 0; slice < 8; slice++)
            crc ^= crc_table[7 - slice][word >> 8 * slice & 255];
    }
    for (; size; data++, size--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *data) & 255];
    return crc;
}

#ifdef WIRECODES_CLMUL
/* V. Gopal and others, Fast CRC Computation for Generic Polynomials Using PCLMULQDQ (Intel, 2009): fold 64 bytes at a time
 * onto 64, these onto 16, then reduce by Barrett's method. The constants are powers of x modulo the polynomial, reflected.
 * `size` is a multiple of 16 and at least 64. Over 20 GB/s. */
#define FOLD(value, by) \
    _mm_xor_si128(_mm_clmulepi64_si128(value, by, 0x00), _mm_clmulepi64_si128(value, by, 0x11))
#define LOAD(index) _mm_loadu_si128((const __m128i *)data + (index))

__attribute__((target("pclmul,sse4.1")))
static uint32_t crc_folded(uint32_t crc, const uint8_t *data, size_t size)
{
    const __m128i by_64 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
    const __m128i by_16 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    const __m128i by_4 = _mm_set_epi64x(0, 0x163cd6124);
    const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);
    const __m128i low = _mm_setr_epi32(-1, 0, -1, 0);
    __m128i a = _mm_xor_si128(LOAD(0), _mm_cvtsi32_si128((int)crc)), b = LOAD(1), c = LOAD(2), d = LOAD(3);

    for (data += 64, size -= 64; size >= 64; data += 64, size -= 64) {
        a = _mm_xor_si128(FOLD(a, by_64), LOAD(0));
        b = _mm_xor_si128(FOLD(b, by_64), LOAD(1));
        c = _mm_xor_si128(FOLD(c, by_64), LOAD(2));
        d = _mm_xor_si128(FOLD(d, by_64), LOAD(3));
    }
    a = _mm_xor_si128(FOLD(a, by_16), b);
    a = _mm_xor_si128(FOLD(a, by_16), c);
    a = _mm_xor_si128(FOLD(a, by_16), d);
    for (; size >= 16; data += 16, size -= 16)
        a = _mm_xor_si128(FOLD(a, by_16), LOAD(0));

    a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_16, 0x10));
    a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, low), by_4, 0x00));
    b = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(a, low), barrett, 0x10), low);
    b = _mm_clmulepi64_si128(b, barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(a, b), 1);
}
#endif

/* zlib's crc32(). */
static uint32_t crc32_of(uint32_t crc, const uint8_t *data, size_t size)
{
    crc = ~crc;
#ifdef WIRECODES_CLMUL
    if (size >= 64 && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        size_t folded = size & ~(size_t)15;
        crc = crc_folded(crc, data, folded);
        data += folded;
        size -= folded;
    }
#endif
    return ~crc_sliced(crc, data, size);
}

#endif
