/* Columns to bytes.
 *
 * Every function reads and writes arrays that the caller owns and has sized. Nothing is allocated,
 * nothing is kept. The reference in Python is in kit/encode.py.
 */

#include <stdint.h>

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    while (value > 0x7f) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static uint64_t zigzag_of(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

/* Protobuf's packed varints, zigzag for sint64. `out` has room for ten bytes each. Returns the
 * number of bytes written. */
int64_t venuemesh_pack(const int64_t *values, int64_t count, int64_t zigzag, uint8_t *out)
{
    uint8_t *at = out;
    for (int64_t row = 0; row < count; row++)
        at = put_varint(at, zigzag ? zigzag_of(values[row]) : (uint64_t)values[row]);
    return at - out;
}

/* The same for the levels of updates: of each the bids, then the asks. */
int64_t venuemesh_pack_levels(const int64_t *bids, const int64_t *bid_counts, const int64_t *asks,
                              const int64_t *ask_counts, int64_t update_count, uint8_t *out)
{
    uint8_t *at = out;
    for (int64_t update = 0; update < update_count; update++) {
        for (int64_t level = 0; level < bid_counts[update]; level++)
            at = put_varint(at, zigzag_of(*bids++));
        for (int64_t level = 0; level < ask_counts[update]; level++)
            at = put_varint(at, zigzag_of(*asks++));
    }
    return at - out;
}
