/* Renders damaged bodies, for the sanitizers to watch: `python -m tests.fuzz.regular` compiles and runs it.

   Arguments: a seed, how many rounds, a file of bodies, each behind its size (32 bits). */

#include <stdio.h>

#include "../../layers/postgres/regular/regular.c"
#include "names.h" /* FIELDS, TYPES and CLASSES, made by regular.py */

#define MOST 8192
#define GROWTH 4096
#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *const fields[] = {FIELDS}, *const types[] = {TYPES}, *const classes[] = {CLASSES};
static const Span tokens[] = {
    SPAN("\""), SPAN("\\"), SPAN("\\u0000"), SPAN("\\u00e9"), SPAN("\\u20ac"), SPAN("\\ud83d\\ude00"), SPAN("\\n"),
    SPAN("{"), SPAN("}"), SPAN("["), SPAN("]"), SPAN(","), SPAN(":"), SPAN("null"), SPAN("true"), SPAN("0"), SPAN("-0"),
    SPAN("1.5"), SPAN("1e9"), SPAN("12345678901234567890"), SPAN("\"user_id\":"), SPAN("\"user_id\":5,"),
    SPAN("\"is_prefetched\":true,"), SPAN("\"rcpt_meta\":{},"), SPAN("\"rcpt_tags\":[],"), SPAN("\"error_code\":\"421\","),
    SPAN("\"raw_reason\":\"x\","), SPAN("\"raw_rcpt_to\":\"A@b\","), SPAN("\xc3\xa9"), SPAN("\xed\xa0\x80"),
    SPAN("\xf0\x9f\x98\x80"), SPAN("\0"), SPAN(" "), SPAN("\t"),
};
static uint64_t state;

static size_t draw(size_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return below == 0 ? 0 : (size_t)(state % below);
}

static size_t insert(uint8_t *body, size_t size, size_t at, Span text) {
    memmove(body + at + text.size, body + at, size - at);
    memcpy(body + at, text.at, text.size);
    return size + text.size;
}

/* The size of the body once it is changed, by at most 64 bytes more. */
static size_t change(uint8_t *body, size_t size) {
    uint8_t copy[64];
    size_t at = draw(size), length = draw(64);
    if (size == 0) return insert(body, 0, 0, tokens[draw(COUNT(tokens))]);
    if (length > size - at) length = size - at;
    Span token = tokens[draw(COUNT(tokens))];
    switch (draw(7)) {
    case 0: body[at] = (uint8_t)draw(256); return size;
    case 1: body[at] ^= (uint8_t)(1 << draw(8)); return size;
    case 2: memmove(body + at, body + at + length, size - at - length); return size - length;
    case 3: return insert(body, size, at, token);
    case 5: insert(body, size, at, token); return at + draw(token.size + 1); /* cut within it */
    case 4: memcpy(copy, body + at, length); return insert(body, size, draw(size), (Span){copy, length});
    default:
        while (at + 1 < size && body[at] != ',' && body[at] != '{') at++;
        return insert(body, size, at + 1, token);
    }
}

static void check(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* How many events of a body are rendered. */
static size_t render(Renderer *r, const uint8_t *body, size_t size) {
    if (!regular_scan(r, body, size, 0, INT64_MAX)) return 0;
    for (uint32_t table = 0; table < TABLES; table++) {
        size_t count = r->result.fresh[table].count;
        int64_t *keys = calloc(count + 1, sizeof *keys);
        check(regular_learn(r, table, keys, count), "keys are refused");
        free(keys);
    }
    size_t count = r->result.count, all = 0;
    uint32_t *sizes = calloc(count + 1, sizeof *sizes);
    for (size_t event = 0; event < count; event++) {
        all += sizes[event] = 1 + (uint32_t)draw(50);
        const uint64_t *segment = r->result.segments + 2 * event;
        check(segment[0] + segment[1] <= r->result.details_size && segment[1] >= 2, "a detail is none");
    }
    uint8_t *frames = calloc(all + 1, 1);
    check(regular_render(r, 7, frames, all, sizes, count), "rows are refused");
    check(count == 0 || !regular_render(r, 7, frames, all - 1, sizes, count), "frames are read beyond their end");
    free(frames);
    free(sizes);
    return count;
}

int main(int count, char **arguments) {
    static uint8_t *bodies[MOST];
    static uint32_t sizes[MOST];
    size_t known = 0, events = 0;
    check(count == 4, "a seed, how many rounds, a file of bodies");
    FILE *file = fopen(arguments[3], "rb");
    check(file != NULL, "no such file");
    for (; known < MOST && fread(&sizes[known], 4, 1, file) == 1; known++) {
        bodies[known] = malloc(sizes[known]);
        check(fread(bodies[known], 1, sizes[known], file) == sizes[known], "the file is cut short");
    }
    fclose(file);
    state = strtoull(arguments[1], NULL, 10) * 2654435761u + 88172645463325252u;
    Renderer *r = NULL;
    for (long round = 0, rounds = atol(arguments[2]); round < rounds; round++) {
        if (round % 5000 == 0) {
            regular_free(r);
            r = regular_new(fields, COUNT(fields), types, classes, COUNT(types), "user_id", -77, 1, draw(SIZE_MAX));
            check(r != NULL, "no memory");
        }
        size_t chosen = draw(known), size = sizes[chosen];
        uint8_t *roomy = malloc(size + GROWTH);
        memcpy(roomy, bodies[chosen], size);
        for (size_t changes = draw(5); changes > 0; changes--) size = change(roomy, size);
        uint8_t *body = malloc(size); /* of just its size, so that a byte beyond it is noticed */
        if (size > 0) memcpy(body, roomy, size);
        free(roomy);
        events += render(r, body, size);
        free(body);
    }
    regular_free(r);
    while (known > 0) free(bodies[--known]);
    printf("%zu events were rendered\n", events);
    return 0;
}
