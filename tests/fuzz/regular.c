/* Renders damaged bodies, for the sanitizers to watch: `python -m tests.fuzz.regular` compiles and runs it. */

#include "../../layers/postgres/regular/regular.c"
#include "names.h" /* FIELDS, TYPES and CLASSES, made by regular.py */

static const char *const fields[] = {FIELDS}, *const types[] = {TYPES}, *const classes[] = {CLASSES};
static const Span tokens[] = {
    SPAN("\""), SPAN("\\"), SPAN("\\u0000"), SPAN("\\u00e9"), SPAN("\\u20ac"), SPAN("\\ud83d\\ude00"), SPAN("\\n"),
    SPAN("{"), SPAN("}"), SPAN("["), SPAN("]"), SPAN(","), SPAN(":"), SPAN("null"), SPAN("true"), SPAN("0"), SPAN("-0"),
    SPAN("1.5"), SPAN("1e9"), SPAN("12345678901234567890"), SPAN("\"user_id\":"), SPAN("\"user_id\":5,"),
    SPAN("\"is_prefetched\":true,"), SPAN("\"rcpt_meta\":{},"), SPAN("\"rcpt_tags\":[],"), SPAN("\"error_code\":\"421\","),
    SPAN("\"raw_reason\":\"x\","), SPAN("\"raw_rcpt_to\":\"A@b\","), SPAN("\xc3\xa9"), SPAN("\xed\xa0\x80"),
    SPAN("\xf0\x9f\x98\x80"), SPAN("\0"), SPAN(" "), SPAN("\t"),
};
static Renderer *r;

#include "damage.h"

/* How many events of a body are rendered. */
static size_t render(const uint8_t *body, size_t size) {
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

static void start(void) {
    regular_free(r);
    r = regular_new(fields, COUNT(fields), types, classes, COUNT(types), "user_id", -77, 1, draw(SIZE_MAX));
    check(r != NULL, "no memory");
}

int main(int count, char **arguments) {
    int code = run(count, arguments, start, render);
    regular_free(r);
    return code;
}
