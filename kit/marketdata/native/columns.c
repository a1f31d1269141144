/* Columns to bytes.
 *
 * Every function reads and writes arrays that the caller owns and has sized. Nothing is allocated,
 * nothing is kept. The reference in Python is in kit/marketdata/codec/encode.py.
 */

#include <stdint.h>
#include <string.h>

/* Writes eight bytes, of which the number may take fewer. */
static inline uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    while (value >> 56) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    /* The bits in groups of seven, one group to a byte. */
    value = (value & 0x000000000fffffff) | (value & 0x00fffffff0000000) << 4;
    value = (value & 0x00003fff00003fff) | (value & 0x0fffc0000fffc000) << 2;
    value = (value & 0x007f007f007f007f) | (value & 0x3f803f803f803f80) << 1;
    int last = (63 - __builtin_clzll(value | 1)) / 8;
    uint64_t more = 0x8080808080808080 & (((uint64_t)1 << 8 * last) - 1);
    value |= more;
    memcpy(out, &value, sizeof value);
    return out + last + 1;
}

static uint64_t zigzag_of(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

/* Kinds of a column; the same numbers stand in kit/marketdata/codec/protobuf_writer.py. */
enum kind { VARINT, ZIGZAG, FIXED, LEVELS };

/* One packed field. LEVELS: of each of `count` updates value_counts of values, then more_counts of
 * more. */
struct column {
    const int64_t *values, *value_counts, *more, *more_counts;
    int64_t count;
    int32_t kind;
    int32_t tag;
};

enum { TAG_AND_LENGTH_MAX = 10 };

static uint8_t *put_levels(uint8_t *out, const struct column *column)
{
    const int64_t *values = column->values, *more = column->more;
    for (int64_t update = 0; update < column->count; update++) {
        for (int64_t level = 0; level < column->value_counts[update]; level++)
            out = put_varint(out, zigzag_of(*values++));
        for (int64_t level = 0; level < column->more_counts[update]; level++)
            out = put_varint(out, zigzag_of(*more++));
    }
    return out;
}

static uint8_t *put_values(uint8_t *out, const struct column *column)
{
    switch (column->kind) {
    case LEVELS:
        return put_levels(out, column);
    case FIXED:
        if (column->count == 0)
            return out; /* the values are then a null pointer */
        memcpy(out, column->values, (size_t)column->count * sizeof(int64_t));
        return out + column->count * (int64_t)sizeof(int64_t);
    case ZIGZAG:
        for (int64_t row = 0; row < column->count; row++)
            out = put_varint(out, zigzag_of(column->values[row]));
        return out;
    default:
        for (int64_t row = 0; row < column->count; row++)
            out = put_varint(out, (uint64_t)column->values[row]);
        return out;
    }
}

/* Protobuf's packed fields, one after another. `out` has room for ten bytes for each number and
 * thirty for each column. Returns the number of bytes written. */
int64_t venuemesh_write(const struct column *columns, int64_t column_count, uint8_t *out)
{
    uint8_t *at = out;
    for (const struct column *column = columns; column < columns + column_count; column++) {
        uint8_t *body = at + TAG_AND_LENGTH_MAX;
        int64_t length = put_values(body, column) - body;
        at = put_varint(at, (uint64_t)column->tag);
        at = put_varint(at, (uint64_t)length);
        memmove(at, body, (size_t)length);
        at += length;
    }
    return at - out;
}
