/* What PostgreSQL answers to COPY … TO STDOUT (FORMAT BINARY), to columns.
 *
 * The bytes are those of the connection: messages of one row each, header and trailer in the first
 * and the last. Every function writes into arrays that the caller owns and has sized. Nothing is
 * allocated or kept. The reference in Python: kit/storage/archive/reference_copy_decoder.py.
 */

#include <stdint.h>
#include <string.h>

/* Kinds of a column; the same numbers stand in kit/storage/archive/copy_layout.py. */
enum copied_kind { COPIED_INTEGER, COPIED_NUMERIC, COPIED_BYTES };

/* The same numbers stand in kit/storage/archive/copy_layout.py. */
enum fault { FAULT_NONE, FAULT_SHAPE, FAULT_NULL, FAULT_NUMBER };

struct copied_column {
    int64_t *values;   /* numbers; of bytes where they begin in the pool */
    int64_t *seconds;  /* decimal places of numerics, lengths of bytes */
    uint8_t *nulls;    /* 1: there is no value; a null pointer: there must be one */
    int32_t kind;
    int32_t reserved;
};

struct copied {
    struct copied_column *columns;
    int64_t column_count;
    int64_t row_count;
    int64_t header_seen;
    uint8_t *pool;
    int64_t pool_length;
    int64_t fault;
    int64_t fault_column;
};

enum { MESSAGE_HEAD = 5, SIGNATURE = 11, FLAGS = 4, NUMERIC_HEAD = 8 };
enum { NUMERIC_POSITIVE = 0x0000, NUMERIC_NEGATIVE = 0x4000, GROUP_PLACES = 4 };
static const uint64_t UNSCALED_MAX = 999999999999999999ull; /* eighteen digits */

static int16_t int16_at(const uint8_t *at)
{
    return (int16_t)((uint16_t)at[0] << 8 | at[1]);
}

static int32_t int32_at(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return (int32_t)__builtin_bswap32(value);
}

static int64_t int64_at(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return (int64_t)__builtin_bswap64(value);
}

static enum fault read_integer(const uint8_t *at, int32_t length, int64_t *value)
{
    switch (length) {
    case 1:
        *value = *at;
        return FAULT_NONE;
    case 2:
        *value = int16_at(at);
        return FAULT_NONE;
    case 4:
        *value = int32_at(at);
        return FAULT_NONE;
    case 8:
        *value = int64_at(at);
        return FAULT_NONE;
    default:
        return FAULT_SHAPE;
    }
}

/* value * factor + more; 0 when it has more digits than are kept. */
static int append_digits(uint64_t *value, uint64_t factor, uint64_t more)
{
    if (*value > (UNSCALED_MAX - more) / factor)
        return 0;
    *value = *value * factor + more;
    return 1;
}

/* Groups of four digits; `weight` is that of the first, in powers of 10000. The number gets as few
 * decimal places as it needs. */
static enum fault read_numeric(const uint8_t *at, int32_t length, int64_t *unscaled,
                               int64_t *decimals)
{
    if (length < NUMERIC_HEAD)
        return FAULT_SHAPE;
    int count = (uint16_t)int16_at(at), weight = int16_at(at + 2);
    int sign = (uint16_t)int16_at(at + 4);
    if (length != NUMERIC_HEAD + 2 * count)
        return FAULT_SHAPE;
    if (sign != NUMERIC_POSITIVE && sign != NUMERIC_NEGATIVE)
        return FAULT_NUMBER;
    const uint8_t *groups = at + NUMERIC_HEAD;
    while (count && int16_at(groups + 2 * (count - 1)) == 0)
        count--;
    uint64_t value = 0;
    for (int place = 0; place < count - 1; place++)
        if (!append_digits(&value, 10000, (uint16_t)int16_at(groups + 2 * place)))
            return FAULT_NUMBER;
    int64_t places = 0;
    if (count) {
        uint64_t last = (uint16_t)int16_at(groups + 2 * (count - 1)), factor = 10000;
        int64_t after = (int64_t)GROUP_PLACES * (count - 1 - weight);
        for (; after > 0 && last % 10 == 0; after--) {
            last /= 10;
            factor /= 10;
        }
        if (!append_digits(&value, factor, last))
            return FAULT_NUMBER;
        for (; after < 0; after++)
            if (!append_digits(&value, 10, 0))
                return FAULT_NUMBER;
        places = after;
    }
    *unscaled = sign == NUMERIC_NEGATIVE ? -(int64_t)value : (int64_t)value;
    *decimals = places;
    return FAULT_NONE;
}

static enum fault read_value(struct copied *out, const struct copied_column *column,
                             const uint8_t *at, int32_t length)
{
    int64_t row = out->row_count;
    if (column->nulls)
        column->nulls[row] = length < 0;
    if (length < 0) {
        column->values[row] = 0;
        if (column->kind != COPIED_INTEGER)
            column->seconds[row] = 0;
        return column->nulls ? FAULT_NONE : FAULT_NULL;
    }
    switch (column->kind) {
    case COPIED_INTEGER:
        return read_integer(at, length, column->values + row);
    case COPIED_NUMERIC:
        return read_numeric(at, length, column->values + row, column->seconds + row);
    default:
        column->values[row] = out->pool_length;
        column->seconds[row] = length;
        memcpy(out->pool + out->pool_length, at, (size_t)length);
        out->pool_length += length;
        return FAULT_NONE;
    }
}

static enum fault read_row(struct copied *out, const uint8_t *at, const uint8_t *end)
{
    int64_t pool_length = out->pool_length;
    for (int64_t place = 0; place < out->column_count; place++) {
        enum fault fault = FAULT_SHAPE;
        out->fault_column = place;
        if (end - at >= 4) {
            int32_t length = int32_at(at);
            at += 4;
            if (length <= end - at)
                fault = read_value(out, out->columns + place, at, length);
            at += length > 0 ? length : 0;
        }
        if (fault != FAULT_NONE) {
            out->pool_length = pool_length;
            return fault;
        }
    }
    out->fault_column = 0;
    if (at != end) {
        out->pool_length = pool_length;
        return FAULT_SHAPE;
    }
    out->row_count++;
    return FAULT_NONE;
}

/* One message: a row, or the trailer. */
static enum fault read_message(struct copied *out, const uint8_t *at, const uint8_t *end)
{
    if (!out->header_seen) {
        if (end - at < SIGNATURE + FLAGS + 4)
            return FAULT_SHAPE;
        at += SIGNATURE + FLAGS;
        int32_t extension = int32_at(at);
        at += 4;
        if (extension < 0 || extension > end - at)
            return FAULT_SHAPE;
        at += extension;
        out->header_seen = 1;
        if (at == end)
            return FAULT_NONE;
    }
    if (end - at < 2)
        return FAULT_SHAPE;
    int field_count = int16_at(at);
    at += 2;
    if (field_count == -1)
        return at == end ? FAULT_NONE : FAULT_SHAPE;
    return field_count == out->column_count ? read_row(out, at, end) : FAULT_SHAPE;
}

/* Read whole messages of data until one is cut off, or is of another type, or has a fault. There is
 * room for a row for each seven bytes, and in the pool for all of them. Returns the bytes that were
 * read. */
int64_t venuemesh_copied(const uint8_t *in, int64_t length, struct copied *out)
{
    const uint8_t *at = in, *end = in + length;
    out->fault = FAULT_NONE;
    while (end - at >= MESSAGE_HEAD && *at == 'd') {
        int64_t size = int32_at(at + 1); /* with itself */
        if (size < 4) {
            out->fault = FAULT_SHAPE;
            break;
        }
        if (size + 1 > end - at)
            break;
        out->fault = read_message(out, at + MESSAGE_HEAD, at + 1 + size);
        if (out->fault != FAULT_NONE)
            break;
        at += 1 + size;
    }
    return at - in;
}
