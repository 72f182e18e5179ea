/* Reads JSON where it lies: strings, numbers and names as they came, each checked as RFC 8259 and UTF-8 have it.

   What is JSON but must not be taken for regular (a number that Python may read otherwise, an escape that Postgres
   can't store) sets the cursor's `odd`. No function reads at or behind `end`. */

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of text are read as little-endian");

#define ONES 0x0101010101010101u
#define DEEPEST 60        /* nested JSON */
#define LONGEST_NUMBER 18 /* characters; longer ones, and those with exponents, are odd */

typedef struct { const uint8_t *at; size_t size; } Span;
typedef struct { const uint8_t *at, *end; bool odd; } Cursor;

#define SPAN(text) ((Span){(const uint8_t *)(text), sizeof(text) - 1})

static inline void pass_space(Cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r')) c->at++;
}

static inline bool expect(Cursor *c, uint8_t wanted) {
    pass_space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* To the first byte that is a quotation mark, a backslash, a control character or not ASCII. */
static const uint8_t *pass_plain(const uint8_t *at, const uint8_t *end) {
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        const __m128i text = _mm_loadu_si128((const __m128i *)(const void *)at);
        const __m128i quotes = _mm_cmpeq_epi8(text, _mm_set1_epi8('"')), slashes = _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'));
        const __m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1f)), text);
        int found = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, slashes), _mm_or_si128(controls, text)));
        if (found != 0) return at + __builtin_ctz((unsigned)found);
    }
#endif
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t quote = word ^ ONES * '"', backslash = word ^ ONES * '\\';
        uint64_t found = word | ((word - ONES * 0x20) & ~word) | ((quote - ONES) & ~quote);
        found = (found | ((backslash - ONES) & ~backslash)) & ONES * 0x80;
        if (found != 0) return at + __builtin_ctzll(found) / 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') at++;
    return at;
}

/* Bytes of a character that is not ASCII; 0: it is none. */
static size_t measure_utf8(const uint8_t *at, const uint8_t *end) {
    uint8_t lead = *at, low = 0x80, high = 0xbf;
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - at) < size) return 0;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t more = 2; more < size; more++)
        if ((at[more] & 0xc0) != 0x80) return 0;
    return size;
}

static int read_hexadecimal(const uint8_t *at) {
    int number = 0;
    for (int digit = 0; digit < 4; digit++) {
        uint8_t letter = at[digit] | 0x20;
        int value = letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : letter <= '9' ? letter - '0' : -1;
        if (value < 0 || at[digit] < '0') return -1;
        number = number * 16 + value;
    }
    return number;
}

/* Bytes of an escape; 0: it is none. One that Postgres can't store, or that may escape something once more, is odd. */
static size_t measure_escape(Cursor *c, const uint8_t *at) {
    if (c->end - at < 2) return 0;
    if (at[1] != 'u') return memchr("\"\\/bfnrt", at[1], 8) != NULL ? 2 : 0;
    int number = c->end - at < 6 ? -1 : read_hexadecimal(at + 2);
    if (number == 0 || number == '\\' || (number >= 0xd800 && number < 0xe000)) c->odd = true;
    return number < 0 ? 0 : 6;
}

static bool read_string(Cursor *c, Span *string) {
    if (c->at == c->end || *c->at != '"') return false;
    const uint8_t *at = c->at + 1;
    while ((at = pass_plain(at, c->end)) < c->end && *at != '"') {
        size_t size = *at == '\\' ? measure_escape(c, at) : measure_utf8(at, c->end);
        if (size == 0) return false;
        at += size;
    }
    if (at == c->end) return false;
    *string = (Span){c->at, (size_t)(at + 1 - c->at)};
    c->at = at + 1;
    return true;
}

static bool pass_digits(Cursor *c) {
    const uint8_t *begin = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
    return c->at > begin;
}

static bool pass_number(Cursor *c) {
    const uint8_t *begin = c->at;
    if (*c->at == '-') c->at++;
    if (c->at < c->end && *c->at == '0') c->at++;
    else if (!pass_digits(c)) return false;
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!pass_digits(c)) return false;
    }
    if (c->at < c->end && (*c->at | 0x20) == 'e') {
        c->odd = true;
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) c->at++;
        if (!pass_digits(c)) return false;
    }
    if (c->at - begin > LONGEST_NUMBER) c->odd = true;
    return true;
}

static inline bool pass_word(Cursor *c, Span word) {
    if ((size_t)(c->end - c->at) < word.size || memcmp(c->at, word.at, word.size) != 0) return false;
    c->at += word.size;
    return true;
}

static bool equals(Span text, Span other) {
    return text.size == other.size && memcmp(text.at, other.at, text.size) == 0;
}

static Span unquote(Span string) { return (Span){string.at + 1, string.size - 2}; }

static bool is_escaped(Span string) { return memchr(string.at, '\\', string.size) != NULL; }

static bool read_value(Cursor *c, int depth, Span *value);

/* The members of an object, behind its brace. Where a name is asked for, `found` is its value; the object is odd where
   it comes twice, or where escapes keep names from being compared. */
static bool pass_members(Cursor *c, int depth, const Span *asked, Span *found) {
    if (expect(c, '}')) return true;
    do {
        Span name, value;
        pass_space(c);
        if (!read_string(c, &name) || !expect(c, ':') || !read_value(c, depth, &value)) return false;
        if (asked == NULL) continue;
        if (is_escaped(name)) c->odd = true;
        if (equals(unquote(name), *asked)) {
            if (found->at != NULL) c->odd = true;
            *found = value;
        }
    } while (expect(c, ','));
    return expect(c, '}');
}

static bool pass_elements(Cursor *c, int depth, bool strings) {
    Span value;
    if (expect(c, ']')) return true;
    do {
        if (!read_value(c, depth, &value) || (strings && *value.at != '"')) return false;
    } while (expect(c, ','));
    return expect(c, ']');
}

static bool read_value(Cursor *c, int depth, Span *value) {
    bool valid = false;
    pass_space(c);
    if (c->at == c->end || depth > DEEPEST) return false;
    const uint8_t *begin = c->at;
    switch (*begin) {
    case '"': return read_string(c, value);
    case '{': c->at++; valid = pass_members(c, depth + 1, NULL, NULL); break;
    case '[': c->at++; valid = pass_elements(c, depth + 1, false); break;
    case 't': valid = pass_word(c, SPAN("true")); break;
    case 'f': valid = pass_word(c, SPAN("false")); break;
    case 'n': valid = pass_word(c, SPAN("null")); break;
    default: valid = (*begin == '-' || (*begin >= '0' && *begin <= '9')) && pass_number(c);
    }
    *value = (Span){begin, (size_t)(c->at - begin)};
    return valid;
}

#endif
