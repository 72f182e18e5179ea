/* Renders damaged bodies of API calls, for the sanitizers to watch: `python -m tests.fuzz.regular` compiles and runs it. */

#include "../../layers/postgres/regular/calls.c"

static const Span tokens[] = {
    SPAN("\""), SPAN("\\"), SPAN("\\u0000"), SPAN("\\u00e9"), SPAN("\\u20ac"), SPAN("\\ud83d\\ude00"), SPAN("\\n"),
    SPAN("{"), SPAN("}"), SPAN("["), SPAN("]"), SPAN(","), SPAN(":"), SPAN("null"), SPAN("true"), SPAN("0"), SPAN("-0"),
    SPAN("1.5"), SPAN("1e9"), SPAN("12345678901234567890"), SPAN("\"user_id\":"), SPAN("\"user_id\":\"5\","),
    SPAN("\"User-Agent\":\"x\","), SPAN("\"user-agent\":\"\","), SPAN("\"weight\":12,"), SPAN("\"request\":{},"),
    SPAN("\\ud83d"), SPAN("7e123"), SPAN("/123/"), SPAN("\"body\":[1,\"\\ud83d\\ude00\"],"), SPAN("\xc3\xa9"), SPAN("\xed\xa0\x80"),
    SPAN("\xf0\x9f\x98\x80"), SPAN("\0"), SPAN(" "), SPAN("\t"),
};
static Scanner *s;
static Scan *scans[3];

#include "damage.h"

static void learn(void) {
    for (uint32_t table = 0; table < TABLES; table++) {
        const Table *known = &s->tables[table];
        const Fresh *fresh = &s->fresh[table];
        check(fresh->count == known->entries.size / sizeof(Entry) - known->known, "what is fresh is not told");
        check(fresh->count == 0 || fresh->texts + fresh->size + 1 == known->texts.at + known->texts.size, "its text is cut");
        int64_t *keys = calloc(fresh->count + 1, sizeof *keys);
        check(calls_learn(s, table, keys, fresh->count), "keys are refused");
        free(keys);
    }
}

/* How many calls of a body are rendered. */
static size_t render(const uint8_t *body, size_t size) {
    Scan *scan = scans[draw(COUNT(scans))];
    if (!calls_scan(s, scan, body, size, 0, INT64_MAX)) {
        if (s->spoilt) calls_forget(s);
        return 0;
    }
    learn();
    check(calls_touch(s, scan), "somebody has no key");
    const Result *result = &scan->result;
    for (size_t odd = 0; odd < result->odd_count; odd++)
        check(result->odd[3 * odd + 1] < result->odd[3 * odd + 2] && result->odd[3 * odd + 2] <= size, "an item is none");
    size_t count = result->count, all = 0;
    uint32_t *sizes = calloc(count + 1, sizeof *sizes);
    for (size_t call = 0; call < count; call++) {
        all += sizes[call] = 1 + (uint32_t)draw(50);
        const uint64_t *segment = result->segments + 2 * call;
        check(segment[0] + segment[1] <= result->details_size, "a detail is none");
        Cursor c = {result->details + segment[0], result->details + segment[0] + segment[1], false};
        Span detail;
        check(read_value(&c, 0, &detail) && c.at == c.end, "a detail is no JSON");
    }
    uint8_t *frames = calloc(all + 1, 1);
    check(calls_render(s, scan, 7, frames, all, sizes, count), "rows are refused");
    check(count == 0 || !calls_render(s, scan, 7, frames, all - 1, sizes, count), "frames are read beyond their end");
    free(frames);
    free(sizes);
    return count;
}

static void finish(void) {
    for (size_t scan = 0; scan < COUNT(scans); scan++) calls_free_scan(scans[scan]);
    calls_free(s);
}

static void start(void) {
    finish();
    s = calls_new(-77, 3, draw(SIZE_MAX));
    for (size_t scan = 0; scan < COUNT(scans); scan++) scans[scan] = calls_new_scan();
    check(s != NULL && scans[0] != NULL && scans[1] != NULL && scans[2] != NULL, "no memory");
}

int main(int count, char **arguments) {
    int code = run(count, arguments, start, render);
    finish();
    return code;
}
