/* Reading JSON: each function takes one thing from where the cursor stands, and moves it on.
 *
 * They return 0 for what is not there, or is not plain; the cursor may then stand anywhere.
 */

#ifndef VENUEMESH_JSON_H
#define VENUEMESH_JSON_H

#include <stdint.h>
#include <string.h>

enum { DIGITS_MAX = 18, DEPTH_MAX = 32 };

struct cursor {
    const uint8_t *at, *end;
};

static inline void skip_space(struct cursor *c)
{
    /* Venues send none, so it is ruled out at once. */
    if (c->at < c->end && *c->at > ' ')
        return;
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static inline int take(struct cursor *c, uint8_t wanted)
{
    skip_space(c);
    if (c->at >= c->end || *c->at != wanted)
        return 0;
    c->at++;
    return 1;
}

static inline int peek(struct cursor *c)
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

/* Eight digits at once: the bytes are summed up in pairs, fours and eights. */
static inline int eight_digits(const uint8_t *at, uint64_t *value)
{
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    uint64_t digits = eight - 0x3030303030303030ull;
    if ((digits | (digits + 0x7676767676767676ull)) & 0x8080808080808080ull)
        return 0;
    digits = digits * 10 + (digits >> 8);
    digits = ((digits & 0x000000ff000000ffull) * 0x000f424000000064ull +
              ((digits >> 16) & 0x000000ff000000ffull) * 0x0000271000000001ull) >> 32;
    *value = *value * 100000000 + (uint32_t)digits;
    return 1;
}

/* Digits into a value, which is too large to be right after more than DIGITS_MAX of them. */
static inline const uint8_t *read_digits(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    while (end - at >= 8 && eight_digits(at, value))
        at += 8;
    uint64_t read = *value;
    for (; at < end && (uint8_t)(*at - '0') < 10; at++)
        read = read * 10 + (uint64_t)(*at - '0');
    *value = read;
    return at;
}

/* The exponent of a number whose digits were read. */
static int take_exponent(struct cursor *c, uint64_t *value, int64_t *digits, int64_t *places)
{
    const uint8_t *at = c->at + 1;
    int negative = at < c->end && *at == '-';
    at += at < c->end && (*at == '-' || *at == '+');
    uint64_t exponent = 0;
    const uint8_t *first = at;
    at = read_digits(at, c->end, &exponent);
    if (at == first || at - first > 2)
        return 0;
    *places += negative ? (int64_t)exponent : -(int64_t)exponent;
    for (; *places < 0; (*places)++, (*digits)++)
        *value *= 10;
    c->at = at;
    return *places <= DIGITS_MAX && *digits <= DIGITS_MAX;
}

static int64_t leading_zeros(const uint8_t *at, const uint8_t *end)
{
    int64_t zeros = 0;
    for (; at < end && (*at == '0' || *at == '.'); at++)
        zeros += *at == '0';
    return zeros;
}

/* -?digits[.digits][e±digits], at most DIGITS_MAX significant digits. */
static inline int take_plain_number(struct cursor *c, int64_t *unscaled, int64_t *decimals)
{
    int negative = c->at < c->end && *c->at == '-';
    const uint8_t *first = c->at + negative, *at = first;
    uint64_t value = 0;
    for (; at < c->end && (uint8_t)(*at - '0') < 10; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    int64_t digits = at - first, places = 0;
    if (digits == 0)
        return 0;
    if (at < c->end && *at == '.') {
        const uint8_t *fraction = at + 1;
        at = read_digits(fraction, c->end, &value);
        places = at - fraction;
        if (places == 0)
            return 0;
        digits += places;
    }
    if (digits > DIGITS_MAX && (digits -= leading_zeros(first, at)) > DIGITS_MAX)
        return 0;
    if (places > DIGITS_MAX)
        return 0;
    c->at = at;
    if (at < c->end && (*at | 32) == 'e' && !take_exponent(c, &value, &digits, &places))
        return 0;
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

/* A number, bare or as a text. */
static int take_number(struct cursor *c, int64_t *unscaled, int64_t *decimals)
{
    skip_space(c);
    if (c->at >= c->end || *c->at != '"')
        return take_bare_number(c, unscaled, decimals);
    c->at++;
    if (!take_plain_number(c, unscaled, decimals))
        return 0;
    return c->at < c->end && *c->at++ == '"';
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

static int digits_of(const uint8_t *at, int count)
{
    int value = 0;
    for (; count > 0; at++, count--) {
        if (*at < '0' || *at > '9')
            return -1;
        value = value * 10 + (*at - '0');
    }
    return value;
}

/* "2026-07-20T03:39:38.235508Z" as ns since the Unix epoch. Not plain are other zones, and times
 * before 1677 and after 2262, whose ns do not fit. */
static int take_time(struct cursor *c, int64_t *time_ns)
{
    const uint8_t *at, *end;
    if (!take_text(c, &at, &end) || end - at < 20 || end[-1] != 'Z' || at[4] != '-' ||
        at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':')
        return 0;
    int year = digits_of(at, 4), month = digits_of(at + 5, 2), day = digits_of(at + 8, 2);
    int hour = digits_of(at + 11, 2), minute = digits_of(at + 14, 2);
    int second = digits_of(at + 17, 2);
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 59 ||
        day > month_days[month - 1] + (month == 2 && leap))
        return 0;
    int64_t fraction = 0;
    if (at[19] == '.') {
        int places = (int)(end - at) - 21;
        if (places < 1 || places > 9 || (fraction = digits_of(at + 20, places)) < 0)
            return 0;
        for (; places < 9; places++)
            fraction *= 10;
    } else if (end - at != 20) {
        return 0;
    }
    /* Days of the proleptic Gregorian calendar, with years that begin in March. */
    int64_t y = year - (month <= 2), m = (month + 9) % 12;
    int64_t days = 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
    int64_t seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return !__builtin_mul_overflow(seconds, 1000000000, time_ns) &&
           !__builtin_add_overflow(*time_ns, fraction, time_ns);
}

#endif
