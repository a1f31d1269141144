/* JSON frames to columns.
 *
 * Every function reads and writes arrays that the caller owns and has sized. Nothing is allocated,
 * nothing is kept. What is not plain (an escape in a text, an exponent in a number,
 * anything malformed) is not judged here: the function says which frame it was, and Python's slower
 * reference in kit/frames.py decides. Loaded by kit/native/__init__.py, where the calls are typed.
 */

#include <stdint.h>
#include <string.h>

enum { DIGITS_MAX = 18, DEPTH_MAX = 32, SYMBOLS_MAX = 4096, SYMBOL_SLOTS = 8192 };

/* Kinds of a field; the same numbers stand in kit/native/__init__.py. */
enum kind { TEXT = 0, INTEGER = 1, DECIMAL = 2, FLAG = 3, LEVELS = 4 };

struct field {
    const char *key;
    int32_t key_length;
    int32_t kind;
    int64_t *values;   /* TEXT: number of the distinct text; DECIMAL: unscaled; LEVELS: count */
    int64_t *decimals; /* DECIMAL only */
};

struct levels {
    int64_t *price, *price_decimals, *size, *size_decimals;
    int64_t count, capacity;
};

/* Distinct texts of one field, as ranges of the buffer. */
struct texts {
    int64_t *start, *end;
    int64_t count;
    int16_t slots[SYMBOL_SLOTS];
};

struct cursor {
    const uint8_t *at, *end;
};

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static int take(struct cursor *c, uint8_t wanted)
{
    skip_space(c);
    if (c->at >= c->end || *c->at != wanted)
        return 0;
    c->at++;
    return 1;
}

static int peek(struct cursor *c)
{
    skip_space(c);
    return c->at < c->end ? *c->at : -1;
}

/* Bytes that a text may hold without an escape: ASCII but for controls, the quote and \\. */
static const uint8_t PLAIN[256] = {
    [' '] = 1, ['!'] = 1, ['#' ... '['] = 1, [']' ... '~'] = 1, [0x7f] = 1,
};

/* A text without escapes; its bytes stand between *start and *end. */
static int take_text(struct cursor *c, const uint8_t **start, const uint8_t **end)
{
    if (!take(c, '"'))
        return 0;
    *start = c->at;
    while (c->at < c->end && PLAIN[*c->at])
        c->at++;
    if (c->at >= c->end || *c->at != '"')
        return 0;
    *end = c->at++;
    return 1;
}

static const uint8_t *skip_zeros(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at == '0')
        at++;
    return at;
}

/* Digits into a value, which is too large to be right after more than DIGITS_MAX of them. */
static const uint8_t *read_digits(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t read = *value;
    for (; at < end && (uint8_t)(*at - '0') < 10; at++)
        read = read * 10 + (uint64_t)(*at - '0');
    *value = read;
    return at;
}

/* -?digits[.digits], at most DIGITS_MAX significant digits. */
static int take_plain_number(struct cursor *c, int64_t *unscaled, int64_t *decimals)
{
    int negative = c->at < c->end && *c->at == '-';
    const uint8_t *first = c->at + negative;
    uint64_t value = 0;
    const uint8_t *significant = skip_zeros(first, c->end);
    const uint8_t *at = read_digits(significant, c->end, &value);
    int64_t digits = at - significant, places = 0;
    if (at == first)
        return 0;
    if (at < c->end && *at == '.') {
        const uint8_t *fraction = at + 1;
        significant = digits ? fraction : skip_zeros(fraction, c->end);
        at = read_digits(significant, c->end, &value);
        digits += at - significant;
        places = at - fraction;
        if (places == 0)
            return 0;
    }
    if (digits > DIGITS_MAX || places > DIGITS_MAX)
        return 0;
    c->at = at;
    *unscaled = negative ? -(int64_t)value : (int64_t)value;
    *decimals = places;
    return 1;
}

/* A number outside of quotes: JSON allows no leading zero there. */
static int take_bare_number(struct cursor *c, int64_t *unscaled, int64_t *decimals)
{
    skip_space(c);
    const uint8_t *at = c->at + (c->at < c->end && *c->at == '-');
    if (c->end - at > 1 && at[0] == '0' && at[1] >= '0' && at[1] <= '9')
        return 0;
    return take_plain_number(c, unscaled, decimals);
}

static int take_decimal(struct cursor *c, int64_t *unscaled, int64_t *decimals)
{
    if (!take(c, '"') || !take_plain_number(c, unscaled, decimals))
        return 0;
    return c->at < c->end && *c->at++ == '"';
}

static int take_integer(struct cursor *c, int64_t *value)
{
    int64_t decimals;
    return take_bare_number(c, value, &decimals) && decimals == 0;
}

static int take_word(struct cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return 0;
    c->at += length;
    return 1;
}

/* Any value that nobody asked for. */
static int skip_value(struct cursor *c)
{
    uint8_t closers[DEPTH_MAX];
    int depth = 0;
    do {
        const uint8_t *start, *end;
        int64_t unscaled, decimals;
        int next = peek(c);
        if (next == '{' || next == '[') {
            if (depth == DEPTH_MAX)
                return 0;
            c->at++;
            closers[depth++] = next == '{' ? '}' : ']';
            if (peek(c) != closers[depth - 1]) {
                if (next == '{' && !(take_text(c, &start, &end) && take(c, ':')))
                    return 0;
                continue;
            }
        } else if (next == '"') {
            if (!take_text(c, &start, &end))
                return 0;
        } else if (next == 't' || next == 'f' || next == 'n') {
            if (!take_word(c, "true") && !take_word(c, "false") && !take_word(c, "null"))
                return 0;
        } else if (!take_bare_number(c, &unscaled, &decimals)) {
            return 0;
        }
        while (depth > 0) {
            if (take(c, closers[depth - 1])) {
                depth--;
                continue;
            }
            if (!take(c, ','))
                return 0;
            if (closers[depth - 1] == '}' && !(take_text(c, &start, &end) && take(c, ':')))
                return 0;
            break;
        }
    } while (depth > 0);
    return 1;
}

/* [["61837.63","0.02"],…] */
static int take_levels(struct cursor *c, struct levels *to, int64_t *count)
{
    int64_t before = to->count;
    if (!take(c, '['))
        return 0;
    if (!take(c, ']')) {
        do {
            int64_t row = to->count;
            if (row == to->capacity || !take(c, '[') ||
                !take_decimal(c, &to->price[row], &to->price_decimals[row]) || !take(c, ',') ||
                !take_decimal(c, &to->size[row], &to->size_decimals[row]))
                return 0;
            to->count++;
            if (!take(c, ']'))
                return 0;
        } while (take(c, ','));
        if (!take(c, ']'))
            return 0;
    }
    *count = to->count - before;
    return 1;
}

/* The number of a text among the distinct ones, which grows by one when it is new; -1 when full. */
static int64_t number_of(struct texts *known, const uint8_t *buffer, const uint8_t *start,
                         const uint8_t *end)
{
    uint32_t hash = 2166136261u;
    for (const uint8_t *at = start; at < end; at++)
        hash = (hash ^ *at) * 16777619u;
    for (uint32_t slot = hash % SYMBOL_SLOTS;; slot = (slot + 1) % SYMBOL_SLOTS) {
        int64_t number = known->slots[slot] - 1;
        if (number < 0) {
            if (known->count == SYMBOLS_MAX)
                return -1;
            known->start[known->count] = start - buffer;
            known->end[known->count] = end - buffer;
            known->slots[slot] = (int16_t)++known->count;
            return known->count - 1;
        }
        if (known->end[number] - known->start[number] == end - start &&
            memcmp(buffer + known->start[number], start, (size_t)(end - start)) == 0)
            return number;
    }
}

static int take_field(struct cursor *c, const struct field *field, int64_t row,
                      const uint8_t *buffer, struct texts *texts, struct levels *levels)
{
    const uint8_t *start, *end;
    switch (field->kind) {
    case TEXT:
        if (!take_text(c, &start, &end))
            return 0;
        field->values[row] = number_of(texts, buffer, start, end);
        return field->values[row] >= 0;
    case INTEGER:
        return take_integer(c, &field->values[row]);
    case DECIMAL:
        return take_decimal(c, &field->values[row], &field->decimals[row]);
    case FLAG:
        if (take_word(c, "true"))
            return field->values[row] = 1;
        field->values[row] = 0;
        return take_word(c, "false");
    default:
        return take_levels(c, levels, &field->values[row]);
    }
}

/* The members of one object. Every field must be there, once. */
static int take_object(struct cursor *c, const struct field *fields, int64_t field_count,
                       int64_t row, const uint8_t *buffer, struct texts *texts,
                       struct levels *levels)
{
    uint64_t seen = 0;
    int64_t expected = 0;
    if (!take(c, '{'))
        return 0;
    do {
        const uint8_t *start, *end;
        if (!take_text(c, &start, &end) || !take(c, ':'))
            return 0;
        int64_t found = -1;
        for (int64_t tried = 0; tried < field_count; tried++) {
            int64_t index = (expected + tried) % field_count;
            if (fields[index].key_length == end - start &&
                memcmp(fields[index].key, start, (size_t)(end - start)) == 0) {
                found = index;
                break;
            }
        }
        if (found < 0) {
            if (!skip_value(c))
                return 0;
            continue;
        }
        /* Levels are gathered in the order of the fields, so that order must be kept. */
        if (seen & (1ull << found) || (fields[found].kind == LEVELS && seen >> found) ||
            !take_field(c, &fields[found], row, buffer, texts, levels))
            return 0;
        seen |= 1ull << found;
        expected = found + 1;
    } while (take(c, ','));
    return take(c, '}') && seen == (1ull << field_count) - 1;
}

/* Frames {…,"<path>":{fields},…} to columns. starts and ends are ranges of the buffer, one per
 * frame. Returns the number of frames, or -1 - the first frame that is not plain. */
int64_t venuemesh_decode(const uint8_t *buffer, const int64_t *starts, const int64_t *ends,
                         int64_t frame_count, const char *path, int64_t path_length,
                         const struct field *fields, int64_t field_count, struct texts *texts,
                         struct levels *levels)
{
    for (int64_t row = 0; row < frame_count; row++) {
        struct cursor c = {buffer + starts[row], buffer + ends[row]};
        int found = 0;
        if (!take(&c, '{'))
            return -1 - row;
        do {
            const uint8_t *start, *end;
            if (!take_text(&c, &start, &end) || !take(&c, ':'))
                return -1 - row;
            int wanted = end - start == path_length &&
                         memcmp(path, start, (size_t)path_length) == 0;
            int good = !wanted ? skip_value(&c)
                               : !found && take_object(&c, fields, field_count, row, buffer,
                                                       texts, levels);
            if (!good)
                return -1 - row;
            found |= wanted;
        } while (take(&c, ','));
        if (!take(&c, '}') || !found || peek(&c) != -1)
            return -1 - row;
    }
    return frame_count;
}

/* For each frame the number of the first pattern that stands within its first `window` bytes, or
 * pattern_count when none does. */
void venuemesh_classify(const uint8_t *buffer, const int64_t *starts, const int64_t *ends,
                        int64_t frame_count, const char *const *patterns,
                        const int64_t *pattern_lengths, int64_t pattern_count, int64_t window,
                        int64_t *kinds)
{
    for (int64_t row = 0; row < frame_count; row++) {
        const uint8_t *from = buffer + starts[row];
        int64_t length = ends[row] - starts[row];
        length = length < window ? length : window;
        int64_t kind = 0;
        for (; kind < pattern_count; kind++)
            if (memmem(from, (size_t)length, patterns[kind], (size_t)pattern_lengths[kind]))
                break;
        kinds[row] = kind;
    }
}
