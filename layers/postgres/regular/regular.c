/* Renders SparkPost's regular events as rows of COPY's binary format, for functions/s3_loader/regular.py.

   A body is scanned once. What it shares with other bodies (kinds, senders, mailings, receivers, clients) is looked up
   in tables by its JSON, letter by letter; Python gives the keys of what is new. It compresses the details too, then the
   rows are written. An item that is not wholly understood is odd: it is passed over, checked to be JSON, and told of,
   for Python to read; a body that is not JSON in UTF-8, or has too many of these, is refused. So nothing is decided here
   that Python would decide otherwise (tests/unit/s3_loader/test_regular.py compares).

   A renderer belongs to one thread at a time; there is no other state. All memory is the renderer's and grows with the
   largest body; without memory a body is refused. Needs a little-endian processor. */

#include "tables.h"

#define PUBLIC __attribute__((visibility("default")))
#define LONGEST_INDEXED 600 /* bytes here: no fewer than characters */
#define LARGEST_BODY ((size_t)1 << 28)
#define MOST_ODD 10000 /* items of a body; a list of millions would take much memory */
#define EPOCH_2000 946684800000000 /* microseconds from 1970 */

/* The fields, in the order of _sparkpost_regular.py. */
enum {
    TYPE, TIMESTAMP, EVENT_ID, RCPT_TO, RAW_RCPT_TO, BOUNCE_CLASS, RCPT_META, RCPT_TAGS, USER_AGENT, USER_AGENT_PARSED,
    MESSAGE_ID, TRANSMISSION_ID, RAW_REASON, TARGET_LINK_URL, IP_ADDRESS,
    SENDER, SHARED = SENDER + 4, MAILING = SHARED + 9, RECEIVER = MAILING + 5, OTHER = RECEIVER + 4
};
#define BIT(field) ((uint64_t)1 << (field))
#define REQUIRED (BIT(TYPE) | BIT(TIMESTAMP) | BIT(EVENT_ID) | BIT(RCPT_TO) | BIT(RAW_RCPT_TO) | BIT(RECEIVER))

/* The tables. Kinds that need a server's reply, recipients and users are forgotten after each body. */
enum { KINDS, SENDERS, MAILINGS, RECEIVERS, CLIENTS, REPLIES, ADDRESSES, USERS, TABLES };

typedef struct {
    int64_t time, id;
    uint32_t kind, mailing, receiver, client, user;
    bool replied;    /* the kind is one of REPLIES */
    Span columns[6]; /* text with its quotation marks */
    Span metadata;
} Event;

typedef struct { const uint8_t *texts; uint64_t size, count; const int64_t *times; } Fresh;

/* What Python reads after a scan and after a rendering. Pointers hold until the next scan. */
typedef struct {
    uint64_t count;
    const uint8_t *details;
    uint64_t details_size;
    const uint64_t *segments; /* of each event: where its detail begins, its size */
    const uint64_t *odd;      /* of each odd item: position, where it begins, where it ends */
    uint64_t odd_count;
    uint64_t remembered; /* bytes of the tables that last */
    const uint8_t *rows;
    uint64_t rows_size;
    Fresh fresh[TABLES];
} Result;

typedef struct {
    Result result; /* first: Python reads it there */
    Names fields, types;
    Span classes[NAMES]; /* of each type, as `"class":` */
    Buffer spellings;
    Span user_field;
    uint32_t reason, error_code; /* fields */
    uint8_t dictionary;
    int64_t salt;
    Table tables[TABLES];
    Buffer events, details, segments, odd, rows;
    uint8_t followers[NAMES]; /* of each field, which came behind it the last time: nearly always it comes again */
    Span values[NAMES]; /* of the item that is being read, as they came */
    uint64_t seen[2];
    Span class, user;
    bool prefetched;
} Renderer;

/* ---- Reading ---- */

static inline bool has(const Renderer *r, uint32_t field) { return r->seen[field / 64] >> field % 64 & 1; }

static bool read_field(Renderer *r, Cursor *c, uint32_t field) {
    const Span asked = field == RCPT_META ? r->user_field : SPAN("is_prefetched");
    Span *value = &r->values[field], found = {NULL, 0};
    pass_space(c);
    const uint8_t *begin = c->at;
    if (field >= OTHER) return read_value(c, 0, value);
    if (field == RCPT_TAGS) {
        if (!expect(c, '[') || !pass_elements(c, 0, true)) return false;
    } else if (field == RCPT_META || field == USER_AGENT_PARSED) {
        if (!expect(c, '{') || !pass_members(c, 0, &asked, &found)) return false;
        if (field == RCPT_META) r->user = found;
        else r->prefetched = found.at != NULL && *found.at == 't';
    } else if (field < SHARED || field >= MAILING || (c->at < c->end && *c->at == '"')) {
        return read_string(c, value) && value->size > 2;
    } else if (!pass_word(c, SPAN("true")) && !pass_word(c, SPAN("false"))) {
        return false;
    }
    *value = (Span){begin, (size_t)(c->at - begin)};
    return true;
}

static bool read_fields(Renderer *r, Cursor *c) {
    r->seen[0] = r->seen[1] = 0;
    r->user = (Span){NULL, 0};
    r->prefetched = false;
    if (!expect(c, '{')) return false;
    uint32_t last = 0;
    do {
        uint32_t field = r->followers[last];
        pass_space(c);
        if (!pass_word(c, r->fields.spelled[field])) {
            Span name;
            if (!read_string(c, &name) || !expect(c, ':')) return false;
            field = find_name(&r->fields, unquote(name));
            if (field == NONE) return false;
            r->followers[last] = (uint8_t)field;
        }
        if (has(r, field) || !read_field(r, c, field)) return false;
        r->seen[field / 64] |= (uint64_t)1 << field % 64;
        last = field;
    } while (expect(c, ','));
    return expect(c, '}');
}

/* An item of the form {"msys": {"<class>": {...}}} into `values`; false where it is anything else. */
static bool read_item(Renderer *r, Cursor *c) {
    Span name;
    c->odd = false;
    if (!expect(c, '{')) return false;
    pass_space(c);
    if (!pass_word(c, SPAN("\"msys\"")) || !expect(c, ':') || !expect(c, '{')) return false;
    pass_space(c);
    if (!read_string(c, &name) || !expect(c, ':') || !read_fields(r, c)) return false;
    r->class = name;
    return expect(c, '}') && expect(c, '}') && !c->odd;
}

/* A number as Python writes it, above 0, that a bigint holds. */
static bool read_number(Span string, size_t longest, int64_t *number) {
    Span text = unquote(string);
    uint64_t sum = 0;
    if (text.size == 0 || text.size > longest || text.size > 19 || text.at[0] == '0') return false;
    for (size_t at = 0; at < text.size; at++) {
        if (text.at[at] < '0' || text.at[at] > '9') return false;
        sum = sum * 10 + (text.at[at] - '0');
    }
    *number = (int64_t)sum;
    return sum <= INT64_MAX;
}

/* Whether an address is its own lower case without space around; one that is not ASCII is left to Python. */
static bool is_lower(Span string) {
    Span text = unquote(string);
    if (text.size > LONGEST_INDEXED || text.at[0] == ' ' || text.at[text.size - 1] == ' ') return false;
    for (size_t at = 0; at < text.size; at++)
        if (text.at[at] >= 0x80 || text.at[at] == '\\' || (text.at[at] >= 'A' && text.at[at] <= 'Z')) return false;
    return true;
}

/* Whether the user is named as is understood here, or not at all; `user` is a string, a number or none then. */
static bool settle_user(Renderer *r) {
    Span user = r->user;
    if (user.at == NULL) return true;
    if (*user.at == '"') {
        if (is_escaped(user) || user.size - 2 > LONGEST_INDEXED) return false;
        if (user.size == 2) r->user.at = NULL;
    } else if (*user.at != '-' && (*user.at < '0' || *user.at > '9')) {
        r->user.at = NULL; /* true, null, an object: nobody */
    } else if (equals(user, SPAN("-0"))) {
        return false;
    } else if (memchr(user.at, '.', user.size) != NULL) {
        r->user.at = NULL;
    }
    return true;
}

static void put_field(Renderer *r, Buffer *buffer, uint32_t field) {
    if (has(r, field)) put(buffer, r->values[field].at, r->values[field].size);
    else PUT(buffer, "null");
    PUT(buffer, ",");
}

static void close_array(Buffer *texts) {
    if (texts->failed) return;
    texts->at[texts->size - 1] = ']'; /* instead of the last comma */
    PUT(texts, ",");
}

static uint32_t intern_fields(Renderer *r, int table, uint32_t first, uint32_t last) {
    Buffer *texts = &r->tables[table].texts;
    size_t begin = texts->size;
    PUT(texts, "[");
    for (uint32_t field = first; field < last; field++) put_field(r, texts, field);
    close_array(texts);
    return intern(&r->tables[table], begin);
}

/* Mailings end with the number of their sender. */
static uint32_t intern_mailing(Renderer *r) {
    uint32_t sender = intern_fields(r, SENDERS, SENDER, MAILING);
    Buffer *texts = &r->tables[MAILINGS].texts;
    size_t begin = texts->size, digit = 10;
    uint8_t digits[10];
    do digits[--digit] = (uint8_t)('0' + sender % 10);
    while ((sender /= 10) != 0);
    PUT(texts, "[");
    for (uint32_t field = MAILING; field < RECEIVER; field++) put_field(r, texts, field);
    if (has(r, RCPT_TAGS)) put_field(r, texts, RCPT_TAGS);
    else PUT(texts, "[],");
    put(texts, digits + digit, 10 - digit);
    PUT(texts, ",");
    close_array(texts);
    return intern(&r->tables[MAILINGS], begin);
}

static uint32_t intern_kind(Renderer *r, bool replied) {
    Table *table = &r->tables[replied ? REPLIES : KINDS];
    size_t begin = table->texts.size;
    PUT(&table->texts, "[");
    put_field(r, &table->texts, TYPE);
    put_field(r, &table->texts, BOUNCE_CLASS);
    if (r->prefetched) PUT(&table->texts, "true,");
    else PUT(&table->texts, "false,");
    if (replied) {
        put_field(r, &table->texts, r->error_code);
        put_field(r, &table->texts, RAW_REASON);
    }
    close_array(&table->texts);
    return intern(table, begin);
}

/* Whom the event happened to: the user, else the address. The number of the user, or NONE. */
static uint32_t touch_person(Renderer *r, int64_t time) {
    bool named = r->user.at != NULL, quoted = named && *r->user.at == '"';
    Span person = named ? r->user : r->values[RCPT_TO];
    Table *table = &r->tables[named ? USERS : ADDRESSES];
    size_t begin = table->texts.size;
    if (named && !quoted) PUT(&table->texts, "\"");
    put(&table->texts, person.at, person.size);
    if (named && !quoted) PUT(&table->texts, "\"");
    PUT(&table->texts, ",");
    uint32_t number = touch(table, begin, time);
    return named ? number : NONE;
}

static void put_detail(Renderer *r) {
    Buffer *details = &r->details;
    uint64_t segment[2] = {details->size, 0};
    PUT(details, "{");
    for (uint32_t field = OTHER; field < r->fields.count; field++) {
        if (!has(r, field)) continue;
        put(details, r->fields.spelled[field].at, r->fields.spelled[field].size);
        put_field(r, details, field);
    }
    if (!equals(r->values[RAW_RCPT_TO], r->values[RCPT_TO])) {
        put(details, r->fields.spelled[RAW_RCPT_TO].at, r->fields.spelled[RAW_RCPT_TO].size);
        put_field(r, details, RAW_RCPT_TO);
    }
    if (has(r, RCPT_TAGS) && memchr(r->values[RCPT_TAGS].at, '"', r->values[RCPT_TAGS].size) == NULL)
        PUT(details, "\"rcpt_tags\":[],");
    if (details->failed) return;
    if (details->size - segment[0] > 1) details->size--; /* the last comma */
    PUT(details, "}");
    segment[1] = details->size - segment[0];
    put(&r->segments, segment, sizeof segment);
}

/* Keeps the event in `values`; false where Python must look at it. */
static bool keep_event(Renderer *r, int64_t earliest, int64_t latest) {
    static const uint8_t columns[6] = {RCPT_TO, MESSAGE_ID, TRANSMISSION_ID, RAW_REASON, TARGET_LINK_URL, IP_ADDRESS};
    const Span *values = r->values;
    Event event = {.client = NONE};
    int64_t seconds, number;
    if ((r->seen[0] & REQUIRED) != REQUIRED) return false;
    uint32_t type = find_name(&r->types, unquote(values[TYPE]));
    bool reason = has(r, RAW_REASON), client = has(r, USER_AGENT);
    if (type == NONE || !equals(r->class, (Span){r->classes[type].at, r->classes[type].size - 1})
        || !read_number(values[TIMESTAMP], 11, &seconds) || !read_number(values[EVENT_ID], 19, &event.id)
        || seconds * 1000000 < earliest || seconds * 1000000 > latest
        || !is_lower(values[RCPT_TO]) || is_escaped(values[RAW_RCPT_TO])
        || (has(r, BOUNCE_CLASS) && !read_number(values[BOUNCE_CLASS], 5, &number))
        || (has(r, MESSAGE_ID) && values[MESSAGE_ID].size - 2 > LONGEST_INDEXED)
        || (has(r, r->reason) && !reason) || (has(r, USER_AGENT_PARSED) && !client)
        || (has(r, RCPT_META) && values[RCPT_META].size < 5) || !settle_user(r))
        return false;
    event.time = seconds * 1000000;
    event.replied = reason || has(r, r->error_code);
    event.kind = intern_kind(r, event.replied);
    event.mailing = intern_mailing(r);
    event.receiver = intern_fields(r, RECEIVERS, RECEIVER, OTHER);
    if (client) event.client = intern_fields(r, CLIENTS, USER_AGENT, USER_AGENT_PARSED + 1);
    event.user = touch_person(r, event.time);
    for (size_t column = 0; column < 6; column++)
        if (has(r, columns[column])) event.columns[column] = values[columns[column]];
    if (has(r, RCPT_META)) event.metadata = values[RCPT_META];
    put_detail(r);
    put(&r->events, &event, sizeof event);
    return true;
}

/* All items of a body: those that are odd are listed. False where it is not JSON, or too many are odd. */
static bool read_body(Renderer *r, Cursor *c, int64_t earliest, int64_t latest) {
    const uint8_t *body = c->at;
    uint64_t position = 0;
    if (!expect(c, '[')) return false;
    bool more = !expect(c, ']');
    while (more) {
        pass_space(c);
        const uint8_t *begin = c->at;
        if (!read_item(r, c) || !keep_event(r, earliest, latest)) {
            Span item;
            c->at = begin;
            if (!read_value(c, 0, &item) || r->odd.size >= MOST_ODD * 3 * sizeof(uint64_t)) return false;
            uint64_t odd[3] = {position, (uint64_t)(begin - body), (uint64_t)(c->at - body)};
            put(&r->odd, odd, sizeof odd);
        }
        position++;
        more = expect(c, ',');
        if (!more && !expect(c, ']')) return false;
    }
    pass_space(c);
    return c->at == c->end;
}

/* ---- Rows ---- */

static uint8_t *write_int32(uint8_t *to, uint32_t number) {
    number = __builtin_bswap32(number);
    memcpy(to, &number, 4);
    return to + 4;
}

static uint8_t *write_int64(uint8_t *to, int64_t number) {
    uint64_t turned = __builtin_bswap64((uint64_t)number);
    to = write_int32(to, 8);
    memcpy(to, &turned, 8);
    return to + 8;
}

/* The text of a string, no longer than the string. Its escapes were checked when it was read. */
static uint8_t *write_text(uint8_t *to, Span string) {
    if (string.at == NULL) return write_int32(to, UINT32_MAX);
    Span text = unquote(string);
    uint8_t *begin = to;
    to += 4;
    if (!is_escaped(text)) {
        memcpy(to, text.at, text.size);
        to += text.size;
    } else for (const uint8_t *at = text.at, *end = at + text.size; at < end;) {
        static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] != 'u') {
            *to++ = (uint8_t)meanings[strchr(escapes, at[1]) - escapes];
            at += 2;
        } else {
            int number = read_hexadecimal(at + 2);
            at += 6;
            if (number >= 0x800) *to++ = (uint8_t)(0xe0 | number >> 12);
            if (number >= 0x80) *to++ = (uint8_t)(number >= 0x800 ? 0x80 | (number >> 6 & 0x3f) : 0xc0 | number >> 6);
            *to++ = (uint8_t)(number >= 0x80 ? 0x80 | (number & 0x3f) : number);
        }
    }
    write_int32(begin, (uint32_t)(to - begin - 4));
    return to;
}

static uint8_t *write_row(const Renderer *r, uint8_t *to, const Event *event, int32_t batch_id, Span frame) {
    const Table *tables = r->tables;
    *to++ = 0;
    *to++ = 16; /* columns */
    to = write_int64(to, event->time - EPOCH_2000);
    to = write_int64(to, event->id ^ r->salt);
    to = write_int64(to, find_key(&tables[event->replied ? REPLIES : KINDS], event->kind));
    to = write_int64(to, find_key(&tables[MAILINGS], event->mailing));
    to = write_int64(to, find_key(&tables[RECEIVERS], event->receiver));
    if (event->client == NONE) to = write_int32(to, UINT32_MAX);
    else to = write_int64(to, find_key(&tables[CLIENTS], event->client));
    to = write_int32(write_int32(to, 4), (uint32_t)batch_id);
    for (size_t column = 0; column < 6; column++) to = write_text(to, event->columns[column]);
    if (event->metadata.at == NULL) {
        to = write_int32(to, UINT32_MAX);
    } else {
        to = write_int32(to, (uint32_t)event->metadata.size + 1);
        *to++ = 1; /* the version of jsonb */
        memcpy(to, event->metadata.at, event->metadata.size);
        to += event->metadata.size;
    }
    to = write_int32(to, (uint32_t)frame.size + 1);
    *to++ = r->dictionary;
    memcpy(to, frame.at, frame.size);
    to += frame.size;
    return event->user == NONE ? write_int32(to, UINT32_MAX) : write_int64(to, find_key(&tables[USERS], event->user));
}

/* ---- What Python calls ---- */

PUBLIC uint32_t regular_version(void) { return VERSION; }

PUBLIC void regular_free(Renderer *r) {
    if (r == NULL) return;
    for (int table = 0; table < TABLES; table++) {
        free(r->tables[table].texts.at);
        free(r->tables[table].entries.at);
        free(r->tables[table].times.at);
        free(r->tables[table].slots);
    }
    Buffer *buffers[] = {&r->spellings, &r->events, &r->details, &r->segments, &r->odd, &r->rows};
    for (size_t buffer = 0; buffer < sizeof buffers / sizeof *buffers; buffer++) free(buffers[buffer]->at);
    free(r);
}

/* Names of fields, in the order above; of types that are rendered here, each with its class. NULL: no memory. */
PUBLIC Renderer *regular_new(const char *const *fields, size_t field_count, const char *const *types,
                             const char *const *classes, size_t type_count, const char *user_field, int64_t salt,
                             uint8_t dictionary, uint64_t seed) {
    if (field_count <= OTHER || field_count >= NAMES || type_count >= NAMES) return NULL;
    Renderer *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    size_t size = strlen(user_field) + 3;
    for (size_t field = 0; field < field_count; field++) size += strlen(fields[field]) + 3;
    for (size_t type = 0; type < type_count; type++) size += strlen(types[type]) + strlen(classes[type]) + 6;
    if (!reserve(&r->spellings, size)) { /* at once: names are pointed at */
        regular_free(r);
        return NULL;
    }
    for (size_t field = 0; field < field_count; field++) add_name(&r->spellings, &r->fields, fields[field]);
    for (size_t type = 0; type < type_count; type++) {
        r->classes[type] = spell(&r->spellings, classes[type]);
        add_name(&r->spellings, &r->types, types[type]);
    }
    Span user = spell(&r->spellings, user_field);
    r->user_field = (Span){user.at + 1, user.size - 3};
    r->reason = find_name(&r->fields, SPAN("reason"));
    r->error_code = find_name(&r->fields, SPAN("error_code"));
    r->salt = salt;
    r->dictionary = dictionary;
    for (int table = 0; table < TABLES; table++) r->tables[table].seed = seed;
    if (r->reason < OTHER || r->error_code < OTHER || r->reason == NONE || r->error_code == NONE) {
        regular_free(r);
        return NULL;
    }
    return r;
}

/* Forgets all keys. */
PUBLIC void regular_forget(Renderer *r) {
    for (int table = 0; table < TABLES; table++) forget(&r->tables[table]);
}

static void list_fresh(Renderer *r) {
    for (int number = 0; number < TABLES; number++) {
        Table *table = &r->tables[number];
        Fresh fresh = {NULL, 0, table->entries.size / sizeof(Entry) - table->known, NULL};
        if (fresh.count > 0) {
            fresh.texts = table->texts.at + table->known_text;
            fresh.size = table->texts.size - table->known_text - 1; /* without the last comma */
            fresh.times = (const int64_t *)(const void *)table->times.at;
        }
        r->result.fresh[number] = fresh;
        if (number < REPLIES) r->result.remembered += table->texts.size + table->entries.size;
    }
}

/* Reads a body, which must stay where it is until it is rendered. False where it is refused; then all is forgotten. */
PUBLIC bool regular_scan(Renderer *r, const uint8_t *body, size_t size, int64_t earliest, int64_t latest) {
    Buffer *buffers[] = {&r->events, &r->details, &r->segments, &r->odd, &r->rows};
    Cursor c = {body, body + size, false};
    Result *result = &r->result;
    bool failed = false;
    for (size_t buffer = 0; buffer < sizeof buffers / sizeof *buffers; buffer++) {
        buffers[buffer]->size = 0;
        buffers[buffer]->failed = false;
    }
    for (int table = REPLIES; table < TABLES; table++) forget(&r->tables[table]);
    *result = (Result){0};
    if (size > LARGEST_BODY || !read_body(r, &c, earliest, latest)) failed = true;
    for (size_t buffer = 0; buffer < sizeof buffers / sizeof *buffers; buffer++) failed |= buffers[buffer]->failed;
    for (int table = 0; table < TABLES; table++) failed |= has_failed(&r->tables[table]);
    if (failed) {
        regular_forget(r);
        return false;
    }
    result->count = r->events.size / sizeof(Event);
    result->details = r->details.at;
    result->details_size = r->details.size;
    result->segments = (const uint64_t *)(const void *)r->segments.at;
    result->odd = (const uint64_t *)(const void *)r->odd.at;
    result->odd_count = r->odd.size / (3 * sizeof(uint64_t));
    list_fresh(r);
    return true;
}

/* The keys of a table's fresh entries, in their order. */
PUBLIC bool regular_learn(Renderer *r, uint32_t number, const int64_t *keys, size_t count) {
    return number < TABLES && learn(&r->tables[number], keys, count);
}

/* Writes the rows of the events that were scanned. `frames`: their compressed details, `sizes` of each. */
PUBLIC bool regular_render(Renderer *r, int32_t batch_id, const uint8_t *frames, size_t frames_size,
                           const uint32_t *sizes, size_t count) {
    const Event *events = (const Event *)(const void *)r->events.at;
    if (count != r->events.size / sizeof(Event)) return false;
    r->rows.size = 0;
    for (int table = 0; table < TABLES; table++)
        if (table != ADDRESSES && r->tables[table].known != r->tables[table].entries.size / sizeof(Entry)) return false;
    for (size_t number = 0; number < count; number++) {
        const Event *event = &events[number];
        size_t room = 2 + 16 * 12 + event->metadata.size + sizes[number] + 2;
        for (size_t column = 0; column < 6; column++) room += event->columns[column].size;
        if (sizes[number] > frames_size || !reserve(&r->rows, room)) return false;
        Span frame = {frames, sizes[number]};
        uint8_t *end = write_row(r, r->rows.at + r->rows.size, event, batch_id, frame);
        r->rows.size = (size_t)(end - r->rows.at);
        frames += sizes[number];
        frames_size -= sizes[number];
    }
    r->result.rows = r->rows.at;
    r->result.rows_size = r->rows.size;
    return true;
}
