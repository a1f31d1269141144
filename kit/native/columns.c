/* Columns to bytes, and price levels of books.
 *
 * Every function reads and writes arrays that the caller owns and has sized. Nothing is allocated,
 * nothing is kept. The references in Python are in kit/encode.py and kit/book.py.
 */

#include <stdint.h>

/* Protobuf's packed varints, zigzag for sint64. `out` has room for ten bytes each. Returns the
 * number of bytes written. */
int64_t venuemesh_pack(const int64_t *values, int64_t count, int64_t zigzag, uint8_t *out)
{
    uint8_t *at = out;
    for (int64_t row = 0; row < count; row++) {
        uint64_t value = (uint64_t)values[row];
        if (zigzag)
            value = (value << 1) ^ (uint64_t)(values[row] >> 63);
        while (value > 0x7f) {
            *at++ = (uint8_t)(value | 0x80);
            value >>= 7;
        }
        *at++ = (uint8_t)value;
    }
    return at - out;
}

static uint64_t slot_of(int64_t price, int64_t capacity)
{
    return ((uint64_t)price * 0x9e3779b97f4a7c15ull >> 20) & (uint64_t)(capacity - 1);
}

/* Free a slot of the table below, and move up what would not be found behind the hole. */
static void remove_level(int64_t *prices, int64_t *sizes, int64_t capacity, uint64_t hole)
{
    uint64_t mask = (uint64_t)capacity - 1;
    for (uint64_t slot = (hole + 1) & mask; sizes[slot]; slot = (slot + 1) & mask) {
        uint64_t home = slot_of(prices[slot], capacity);
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            prices[hole] = prices[slot];
            sizes[hole] = sizes[slot];
            hole = slot;
        }
    }
    sizes[hole] = 0;
}

/* Set the levels of one side of a book; size 0 removes. The side is a table with open addressing:
 * `capacity` slots, a power of two and at least twice what may be held; a slot with size 0 is free.
 * Returns the number of levels held, which was `held` before. */
int64_t venuemesh_set_levels(int64_t *prices, int64_t *sizes, int64_t capacity, int64_t held,
                             const int64_t *new_prices, const int64_t *new_sizes, int64_t count)
{
    uint64_t mask = (uint64_t)capacity - 1;
    for (int64_t row = 0; row < count; row++) {
        uint64_t slot = slot_of(new_prices[row], capacity);
        while (sizes[slot] && prices[slot] != new_prices[row])
            slot = (slot + 1) & mask;
        if (new_sizes[row]) {
            held += sizes[slot] == 0;
            prices[slot] = new_prices[row];
            sizes[slot] = new_sizes[row];
        } else if (sizes[slot]) {
            held--;
            remove_level(prices, sizes, capacity, slot);
        }
    }
    return held;
}
