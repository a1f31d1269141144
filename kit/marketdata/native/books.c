/* Order books by price level: updates in, and the proof that a book is right.
 *
 * Keys are prices for bids and negative prices for asks. A side whose order proves something is
 * sorted, with its best level last, where almost all changes are. Any other is a table with open
 * addressing: changes are many, and far from the best too. Nothing is allocated; the caller has
 * made room for all levels of a run. The references in Python are in kit/marketdata/book and
 * kit/marketdata/book/checksum.py.
 */

#include <stdint.h>
#include <string.h>

enum { CHECKSUM_NONE, CHECKSUM_ASKS_THEN_BIDS, CHECKSUM_INTERLEAVED };
enum { ASKS_THEN_BIDS_LEVELS = 10, INTERLEAVED_LEVELS = 25, NUMBER_BYTES_MAX = 24 };
enum { VERDICT_GOOD, VERDICT_CHECKSUM, VERDICT_CROSSED };

struct side {
    int64_t *keys, *sizes;
    int64_t count;
    int64_t slots; /* of a table: a power of two, at least twice the count; 0: sorted */
};

/* Levels that were cut, in the order in which it happened; the caller has made room. */
struct cuts {
    int64_t *updates, *keys;
    int64_t count;
};

struct book {
    struct side bids, asks;
    struct cuts bid_cuts, ask_cuts;
    int64_t depth; /* levels per side that are kept; 0: all */
    int64_t checksum_kind;
    int64_t stop_when_crossed;
    int64_t price_scale, size_scale;
};

/* Levels of many updates: those of update i begin at start[i]. */
struct changes {
    const int64_t *price, *size, *start, *count;
};

static uint64_t slot_of(int64_t key, uint64_t mask)
{
    return ((uint64_t)key * 0x9e3779b97f4a7c15ull >> 20) & mask;
}

/* Free a slot of a table, and move up what would not be found behind the hole. */
static void free_slot(struct side *side, uint64_t hole)
{
    uint64_t mask = (uint64_t)side->slots - 1;
    for (uint64_t slot = (hole + 1) & mask; side->sizes[slot]; slot = (slot + 1) & mask) {
        uint64_t home = slot_of(side->keys[slot], mask);
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            side->keys[hole] = side->keys[slot];
            side->sizes[hole] = side->sizes[slot];
            hole = slot;
        }
    }
    side->sizes[hole] = 0;
}

/* In a table, where a size of 0 means a free slot. */
static void set_slot(struct side *side, int64_t key, int64_t size)
{
    uint64_t mask = (uint64_t)side->slots - 1, slot = slot_of(key, mask);
    while (side->sizes[slot] && side->keys[slot] != key)
        slot = (slot + 1) & mask;
    if (size) {
        side->count += side->sizes[slot] == 0;
        side->keys[slot] = key;
        side->sizes[slot] = size;
    } else if (side->sizes[slot]) {
        side->count--;
        free_slot(side, slot);
    }
}

static void set_sorted(struct side *side, int64_t key, int64_t size)
{
    int64_t low = 0, high = side->count, step = 1;
    while (high > 0 && side->keys[high - 1] > key) {
        int64_t next = high - step;
        if (next <= 0 || side->keys[next - 1] <= key) {
            low = next > 0 ? next : 0;
            high = high - 1;
            while (low < high) {
                int64_t middle = (low + high) / 2;
                if (side->keys[middle] < key)
                    low = middle + 1;
                else
                    high = middle;
            }
            break;
        }
        high = next;
        step *= 2;
    }
    int64_t at = high;
    if (at > 0 && side->keys[at - 1] == key)
        at--;
    int64_t behind = side->count - at;
    if (at < side->count && side->keys[at] == key) {
        if (size) {
            side->sizes[at] = size;
            return;
        }
        memmove(side->keys + at, side->keys + at + 1, (size_t)(behind - 1) * sizeof(int64_t));
        memmove(side->sizes + at, side->sizes + at + 1, (size_t)(behind - 1) * sizeof(int64_t));
        side->count--;
    } else if (size) {
        memmove(side->keys + at + 1, side->keys + at, (size_t)behind * sizeof(int64_t));
        memmove(side->sizes + at + 1, side->sizes + at, (size_t)behind * sizeof(int64_t));
        side->keys[at] = key;
        side->sizes[at] = size;
        side->count++;
    }
}

static void set_levels(struct side *side, const struct changes *from, int64_t update, int sign)
{
    int64_t end = from->start[update] + from->count[update];
    if (side->slots)
        for (int64_t at = from->start[update]; at < end; at++)
            set_slot(side, sign * from->price[at], from->size[at]);
    else
        for (int64_t at = from->start[update]; at < end; at++)
            set_sorted(side, sign * from->price[at], from->size[at]);
}

static void cut(struct side *side, int64_t depth, int64_t update, struct cuts *cuts)
{
    int64_t over = side->count - depth;
    if (depth == 0 || over <= 0)
        return;
    for (int64_t at = 0; at < over; at++) {
        cuts->updates[cuts->count] = update;
        cuts->keys[cuts->count++] = side->keys[at];
    }
    memmove(side->keys, side->keys + over, (size_t)depth * sizeof(int64_t));
    memmove(side->sizes, side->sizes + over, (size_t)depth * sizeof(int64_t));
    side->count = depth;
}

/* CRC-32 as zlib computes it. */
static uint32_t crc_of(uint32_t crc, const uint8_t *at, int64_t length)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t value = byte;
            for (int bit = 0; bit < 8; bit++)
                value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
            table[byte] = value;
        }
    crc = ~crc;
    for (; length > 0; at++, length--)
        crc = crc >> 8 ^ table[(crc ^ *at) & 255];
    return ~crc;
}

/* The digits of a number, right-aligned before `end`. Returns where they begin. */
static uint8_t *write_digits(uint8_t *end, uint64_t value)
{
    do
        *--end = (uint8_t)('0' + value % 10);
    while (value /= 10);
    return end;
}

static uint64_t magnitude_of(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

/* A whole number, right-aligned before `end`. Returns where it begins. */
static uint8_t *write_whole(uint8_t *end, int64_t value)
{
    uint8_t *at = write_digits(end, magnitude_of(value));
    if (value < 0)
        *--at = '-';
    return at;
}

/* Decimal text without trailing zeros. Returns its end. */
static uint8_t *write_decimal(uint8_t *out, int64_t number, int64_t scale)
{
    uint8_t digits[NUMBER_BYTES_MAX], *end = digits + sizeof digits;
    uint64_t value = magnitude_of(number);
    if (number < 0)
        *out++ = '-';
    for (; scale > 0 && value % 10 == 0; scale--)
        value /= 10;
    uint8_t *at = write_digits(end, value);
    while (end - at <= scale)
        *--at = '0';
    size_t whole = (size_t)(end - at - scale);
    memcpy(out, at, whole);
    out += whole;
    if (scale > 0) {
        *out++ = '.';
        memcpy(out, at + whole, (size_t)scale);
        out += scale;
    }
    return out;
}

static uint32_t asks_then_bids_checksum(const struct book *book)
{
    uint32_t crc = 0;
    const struct side *sides[] = {&book->asks, &book->bids};
    for (int which = 0; which < 2; which++) {
        const struct side *side = sides[which];
        int64_t last = side->count - ASKS_THEN_BIDS_LEVELS;
        for (int64_t at = side->count - 1; at >= 0 && at >= last; at--) {
            uint8_t text[2 * NUMBER_BYTES_MAX], *end = text + sizeof text;
            uint8_t *begin = write_whole(end, side->sizes[at]);
            begin = write_whole(begin, which ? side->keys[at] : -side->keys[at]);
            crc = crc_of(crc, begin, end - begin);
        }
    }
    return crc;
}

static uint32_t interleaved_checksum(const struct book *book)
{
    uint8_t text[INTERLEAVED_LEVELS * 4 * (NUMBER_BYTES_MAX + 1)], *out = text;
    const struct side *sides[] = {&book->bids, &book->asks};
    for (int64_t level = 1; level <= INTERLEAVED_LEVELS; level++)
        for (int which = 0; which < 2; which++) {
            const struct side *side = sides[which];
            if (level > side->count)
                continue;
            int64_t key = side->keys[side->count - level];
            out = write_decimal(out, which ? -key : key, book->price_scale);
            *out++ = ':';
            out = write_decimal(out, side->sizes[side->count - level], book->size_scale);
            *out++ = ':';
        }
    return crc_of(0, text, out > text ? out - text - 1 : 0);
}

static int64_t verdict_on(const struct book *book, const int64_t *checksum)
{
    const struct side *bids = &book->bids, *asks = &book->asks;
    if (book->stop_when_crossed && bids->count && asks->count &&
        bids->keys[bids->count - 1] >= -asks->keys[asks->count - 1])
        return VERDICT_CROSSED;
    if (!checksum || book->checksum_kind == CHECKSUM_NONE)
        return VERDICT_GOOD;
    if (book->checksum_kind == CHECKSUM_ASKS_THEN_BIDS)
        return asks_then_bids_checksum(book) == (uint32_t)*checksum ? VERDICT_GOOD
                                                                    : VERDICT_CHECKSUM;
    return *checksum == 0 || interleaved_checksum(book) == (uint32_t)*checksum ? VERDICT_GOOD
                                                                               : VERDICT_CHECKSUM;
}

/* Apply the updates that `rows` names, one after another, each with its proof. Stops behind the
 * first that proves the book wrong, and says so in `verdict`. Returns how many were right. What
 * fell out of the depth stands in the book's cuts. */
int64_t venuemesh_follow(struct book *book, const int64_t *rows, int64_t row_count,
                         const struct changes *bids, const struct changes *asks,
                         const int64_t *checksums, int64_t *verdict)
{
    *verdict = VERDICT_GOOD;
    book->bid_cuts.count = book->ask_cuts.count = 0;
    for (int64_t index = 0; index < row_count; index++) {
        int64_t update = rows[index];
        set_levels(&book->bids, bids, update, 1);
        set_levels(&book->asks, asks, update, -1);
        cut(&book->bids, book->depth, update, &book->bid_cuts);
        cut(&book->asks, book->depth, update, &book->ask_cuts);
        *verdict = verdict_on(book, checksums ? checksums + update : NULL);
        if (*verdict != VERDICT_GOOD)
            return index;
    }
    return row_count;
}
