/* Renders SparkPost's regular events as rows of COPY's binary format: what functions/s3_loader/regular.py calls, and why.

   A body is scanned once. What it shares with other bodies (kinds, senders, mailings, receivers, clients) is looked up in
   tables by its JSON, letter by letter; Python gives the keys of what is new. It compresses the details too, and then the
   rows are written. An item that is not wholly understood is odd: it is passed over, checked to be JSON, and told of, for
   Python to read; a body that is not JSON in UTF-8 is refused. So nothing is decided here that Python would decide
   otherwise (tests/unit/s3_loader/test_regular.py compares).

   A renderer belongs to one thread at a time; there is no other state. All memory is the renderer's and grows with the
   largest body; without memory a body is refused. Needs a little-endian processor. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of text are read as little-endian");

#define PUBLIC __attribute__((visibility("default")))
#define VERSION 1 /* of what Python calls */
#define ONES 0x0101010101010101u
#define NONE UINT32_MAX
#define DEEPEST 60          /* of nested JSON */
#define LONGEST_NUMBER 18   /* characters; longer ones, and those with exponents, are odd */
#define LONGEST_INDEXED 600 /* bytes here: no fewer than characters */
#define LARGEST_BODY ((size_t)1 << 28)
#define EPOCH_2000 946684800000000 /* microseconds from 1970 */
#define NAMES 128                  /* at most, of fields or types */

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

typedef struct { const uint8_t *at; size_t size; } Span;
typedef struct { uint8_t *at; size_t size, room; } Buffer;
typedef struct { uint64_t hash; size_t begin, size; int64_t key; } Entry;

typedef struct {
    Buffer texts;          /* JSON of each entry, and a comma behind each */
    Buffer entries;        /* of Entry */
    Buffer times;          /* int64_t, of each entry the earliest event; of ADDRESSES and USERS */
    uint32_t *slots;       /* hash -> entry's number + 1; 0: free */
    size_t slot_count;     /* a power of 2, more than twice the entries */
    size_t known, known_text; /* entries that have their key, and the bytes of these */
} Table;

typedef struct {
    Span spelled[NAMES]; /* each as `"name":` */
    uint8_t slots[256];  /* hash -> number + 1 */
    size_t count;
} Names;

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
    int64_t earliest;
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
    uint64_t seed;
    Table tables[TABLES];
    Buffer events, details, segments, odd, rows;
    bool exhausted; /* memory */
    Span values[NAMES]; /* of the item that is being read, as they came */
    uint64_t seen[2];
    Span class, user;
    bool prefetched;
} Renderer;

typedef struct { const uint8_t *at, *end; bool odd; } Cursor;

/* ---- Memory ---- */

static bool reserve(Buffer *buffer, size_t more) {
    if (more <= buffer->room - buffer->size) return true;
    size_t room = buffer->room < 4096 ? 4096 : buffer->room;
    while (room - buffer->size < more) {
        if (room > SIZE_MAX / 4) return false;
        room *= 2;
    }
    uint8_t *at = realloc(buffer->at, room);
    if (at == NULL) return false;
    buffer->at = at;
    buffer->room = room;
    return true;
}

static void put(Renderer *r, Buffer *buffer, const void *from, size_t size) {
    if (size == 0) return;
    if (!reserve(buffer, size)) {
        r->exhausted = true;
        return;
    }
    memcpy(buffer->at + buffer->size, from, size);
    buffer->size += size;
}

#define PUT(r, buffer, text) put(r, buffer, text, sizeof(text) - 1)

static uint64_t hash_text(uint64_t seed, const uint8_t *at, size_t size) {
    uint64_t hash = seed ^ size * 0x9e3779b97f4a7c15u, word;
    for (; size >= 8; at += 8, size -= 8) {
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    word = 0;
    if (size > 0) memcpy(&word, at, size);
    hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 29;
}

/* ---- Tables ---- */

static void forget(Table *table) {
    table->texts.size = table->entries.size = table->times.size = table->known = table->known_text = 0;
    if (table->slots != NULL) memset(table->slots, 0, table->slot_count * sizeof *table->slots);
}

static bool widen(Table *table, size_t count) {
    if (count * 2 < table->slot_count) return true;
    size_t slot_count = table->slot_count == 0 ? 1024 : table->slot_count * 4;
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) return false;
    const Entry *entries = (const Entry *)(const void *)table->entries.at;
    for (size_t number = 0; number < table->entries.size / sizeof *entries; number++) {
        size_t slot = entries[number].hash & (slot_count - 1);
        while (slots[slot] != 0) slot = (slot + 1) & (slot_count - 1);
        slots[slot] = (uint32_t)number + 1;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    return true;
}

/* The number of the entry whose text was put at the end of the table's texts since `begin`. */
static uint32_t intern(Renderer *r, Table *table, size_t begin) {
    size_t count = table->entries.size / sizeof(Entry), size = table->texts.size - begin;
    if (r->exhausted || count >= NONE - 1 || !widen(table, count + 1)) {
        r->exhausted = true;
        return 0;
    }
    const uint8_t *text = table->texts.at + begin;
    uint64_t hash = hash_text(r->seed, text, size);
    size_t slot = hash & (table->slot_count - 1);
    for (uint32_t number; (number = table->slots[slot]) != 0; slot = (slot + 1) & (table->slot_count - 1)) {
        const Entry *entry = (const Entry *)(const void *)table->entries.at + (number - 1);
        if (entry->hash == hash && entry->size == size && memcmp(table->texts.at + entry->begin, text, size) == 0) {
            table->texts.size = begin;
            return number - 1;
        }
    }
    Entry entry = {hash, begin, size, 0};
    put(r, &table->entries, &entry, sizeof entry);
    table->slots[slot] = (uint32_t)count + 1;
    return (uint32_t)count;
}

static int64_t find_key(const Table *table, uint32_t number) {
    return ((const Entry *)(const void *)table->entries.at)[number].key;
}

/* As intern, of somebody whom an event happened to. */
static uint32_t touch(Renderer *r, Table *table, size_t begin, int64_t time) {
    uint32_t number = intern(r, table, begin);
    if (r->exhausted) return number;
    if (number == table->times.size / sizeof time) {
        put(r, &table->times, &time, sizeof time);
    } else {
        int64_t *known = (int64_t *)(void *)table->times.at + number;
        if (time < *known) *known = time;
    }
    return number;
}

/* ---- JSON ---- */

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
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t quote = word ^ ONES * '"', backslash = word ^ ONES * '\\';
        uint64_t found = word | ((word - ONES * 0x20) & ~word) | ((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash);
        found &= ONES * 0x80;
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
        int value = letter >= '0' && letter <= '9' ? letter - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
        if (value < 0 || (at[digit] < 'A' && at[digit] > '9') || at[digit] < '0') return -1;
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

static bool pass_word(Cursor *c, const char *word, size_t size) {
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0) return false;
    c->at += size;
    return true;
}

static bool equals(Span text, Span other) { return text.size == other.size && memcmp(text.at, other.at, text.size) == 0; }

static Span unquote(Span string) { return (Span){string.at + 1, string.size - 2}; }

static bool is_escaped(Span string) { return memchr(string.at, '\\', string.size) != NULL; }

static bool read_value(Cursor *c, int depth, Span *value);

/* The members of an object, behind its brace. Where a name is asked for, `found` is its value; the object is odd where it
   comes twice, or where escapes keep names from being compared. */
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
    case 't': valid = pass_word(c, "true", 4); break;
    case 'f': valid = pass_word(c, "false", 5); break;
    case 'n': valid = pass_word(c, "null", 4); break;
    default: valid = (*begin == '-' || (*begin >= '0' && *begin <= '9')) && pass_number(c);
    }
    *value = (Span){begin, (size_t)(c->at - begin)};
    return valid;
}

/* ---- Names ---- */

static uint8_t hash_name(Span name) {
    return (uint8_t)(name.size * 37 + name.at[0] * 5 + name.at[name.size / 2] * 17 + name.at[name.size - 1] * 3);
}

/* The number of a name; NONE where it is unknown. */
static uint32_t find_name(const Names *names, Span name) {
    if (name.size == 0) return NONE;
    for (uint8_t slot = hash_name(name), number; (number = names->slots[slot]) != 0; slot++) {
        Span spelled = names->spelled[number - 1];
        if (spelled.size == name.size + 3 && memcmp(spelled.at + 1, name.at, name.size) == 0) return number - 1u;
    }
    return NONE;
}

static Span spell(Renderer *r, const char *name) {
    size_t size = strlen(name), begin = r->spellings.size;
    PUT(r, &r->spellings, "\"");
    put(r, &r->spellings, name, size);
    PUT(r, &r->spellings, "\":");
    return (Span){r->spellings.at + begin, r->spellings.size - begin};
}

static void add_name(Renderer *r, Names *names, const char *name) {
    Span spelled = names->spelled[names->count++] = spell(r, name);
    uint8_t slot = hash_name((Span){spelled.at + 1, spelled.size - 3});
    while (names->slots[slot] != 0) slot++;
    names->slots[slot] = (uint8_t)names->count;
}

/* ---- Items ---- */

static inline bool has(const Renderer *r, uint32_t field) { return r->seen[field / 64] >> field % 64 & 1; }

static bool read_field(Renderer *r, Cursor *c, uint32_t field) {
    static const uint8_t prefetched[] = "is_prefetched";
    const Span asked = field == RCPT_META ? r->user_field : (Span){prefetched, sizeof prefetched - 1};
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
    } else if (!pass_word(c, "true", 4) && !pass_word(c, "false", 5)) {
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
    do {
        Span name;
        pass_space(c);
        if (!read_string(c, &name)) return false;
        uint32_t field = find_name(&r->fields, unquote(name));
        if (field == NONE || has(r, field) || !expect(c, ':') || !read_field(r, c, field)) return false;
        r->seen[field / 64] |= (uint64_t)1 << field % 64;
    } while (expect(c, ','));
    return expect(c, '}');
}

/* An item of the form {"msys": {"<class>": {...}}} into `values`; false where it is anything else. */
static bool read_item(Renderer *r, Cursor *c) {
    Span name;
    c->odd = false;
    if (!expect(c, '{')) return false;
    pass_space(c);
    if (!pass_word(c, "\"msys\"", 6) || !expect(c, ':') || !expect(c, '{')) return false;
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

/* Whether the user is named in a way that is understood here, or not at all; then `user` is a string, a number or none. */
static bool settle_user(Renderer *r) {
    Span user = r->user;
    if (user.at == NULL) return true;
    if (*user.at == '"') {
        if (is_escaped(user) || user.size - 2 > LONGEST_INDEXED) return false;
        if (user.size == 2) r->user.at = NULL;
    } else if (*user.at != '-' && (*user.at < '0' || *user.at > '9')) {
        r->user.at = NULL; /* true, null, an object: nobody */
    } else if (user.size == 2 && memcmp(user.at, "-0", 2) == 0) {
        return false;
    } else if (memchr(user.at, '.', user.size) != NULL) {
        r->user.at = NULL;
    }
    return true;
}

static void put_field(Renderer *r, Buffer *buffer, uint32_t field) {
    if (has(r, field)) put(r, buffer, r->values[field].at, r->values[field].size);
    else PUT(r, buffer, "null");
    PUT(r, buffer, ",");
}

static uint32_t intern_fields(Renderer *r, int table, uint32_t first, uint32_t last) {
    Buffer *texts = &r->tables[table].texts;
    size_t begin = texts->size;
    PUT(r, texts, "[");
    for (uint32_t field = first; field < last; field++) put_field(r, texts, field);
    if (!r->exhausted) texts->at[texts->size - 1] = ']';
    PUT(r, texts, ",");
    return intern(r, &r->tables[table], begin);
}

/* Mailings end with the number of their sender. */
static uint32_t intern_mailing(Renderer *r) {
    uint32_t sender = intern_fields(r, SENDERS, SENDER, MAILING);
    Buffer *texts = &r->tables[MAILINGS].texts;
    size_t begin = texts->size, digit = 10;
    uint8_t digits[10];
    do digits[--digit] = (uint8_t)('0' + sender % 10);
    while ((sender /= 10) != 0);
    PUT(r, texts, "[");
    for (uint32_t field = MAILING; field < RECEIVER; field++) put_field(r, texts, field);
    if (has(r, RCPT_TAGS)) put_field(r, texts, RCPT_TAGS);
    else PUT(r, texts, "[],");
    put(r, texts, digits + digit, 10 - digit);
    PUT(r, texts, "],");
    return intern(r, &r->tables[MAILINGS], begin);
}

static uint32_t intern_kind(Renderer *r, bool replied) {
    Table *table = &r->tables[replied ? REPLIES : KINDS];
    size_t begin = table->texts.size;
    PUT(r, &table->texts, "[");
    put_field(r, &table->texts, TYPE);
    put_field(r, &table->texts, BOUNCE_CLASS);
    if (r->prefetched) PUT(r, &table->texts, "true");
    else PUT(r, &table->texts, "false");
    if (replied) {
        PUT(r, &table->texts, ",");
        put_field(r, &table->texts, r->error_code);
        put_field(r, &table->texts, RAW_REASON);
        if (!r->exhausted) table->texts.size--;
    }
    PUT(r, &table->texts, "],");
    return intern(r, table, begin);
}

static uint32_t intern_client(Renderer *r) {
    Buffer *texts = &r->tables[CLIENTS].texts;
    size_t begin = texts->size;
    PUT(r, texts, "[");
    put_field(r, texts, USER_AGENT);
    put_field(r, texts, USER_AGENT_PARSED);
    if (!r->exhausted) texts->at[texts->size - 1] = ']';
    PUT(r, texts, ",");
    return intern(r, &r->tables[CLIENTS], begin);
}

/* Whom the event happened to: the user, else the address. The number of the user, or NONE. */
static uint32_t touch_person(Renderer *r, int64_t time) {
    bool named = r->user.at != NULL, quoted = named && *r->user.at == '"';
    Span person = named ? r->user : r->values[RCPT_TO];
    Table *table = &r->tables[named ? USERS : ADDRESSES];
    size_t begin = table->texts.size;
    if (named && !quoted) PUT(r, &table->texts, "\"");
    put(r, &table->texts, person.at, person.size);
    if (named && !quoted) PUT(r, &table->texts, "\"");
    PUT(r, &table->texts, ",");
    uint32_t number = touch(r, table, begin, time);
    return named ? number : NONE;
}

static void put_detail(Renderer *r) {
    Buffer *details = &r->details;
    uint64_t segment[2] = {details->size, 0};
    PUT(r, details, "{");
    for (uint32_t field = OTHER; field < r->fields.count; field++) {
        if (!has(r, field)) continue;
        put(r, details, r->fields.spelled[field].at, r->fields.spelled[field].size);
        put_field(r, details, field);
    }
    if (!equals(r->values[RAW_RCPT_TO], r->values[RCPT_TO])) {
        put(r, details, r->fields.spelled[RAW_RCPT_TO].at, r->fields.spelled[RAW_RCPT_TO].size);
        put_field(r, details, RAW_RCPT_TO);
    }
    if (has(r, RCPT_TAGS) && memchr(r->values[RCPT_TAGS].at, '"', r->values[RCPT_TAGS].size) == NULL)
        PUT(r, details, "\"rcpt_tags\":[],");
    if (r->exhausted) return;
    if (details->size - segment[0] > 1) details->size--; /* the last comma */
    PUT(r, details, "}");
    segment[1] = details->size - segment[0];
    put(r, &r->segments, segment, sizeof segment);
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
    if (client) event.client = intern_client(r);
    event.user = touch_person(r, event.time);
    for (size_t column = 0; column < 6; column++)
        if (has(r, columns[column])) event.columns[column] = values[columns[column]];
    if (has(r, RCPT_META)) event.metadata = values[RCPT_META];
    put_detail(r);
    put(r, &r->events, &event, sizeof event);
    if (event.time < r->result.earliest) r->result.earliest = event.time;
    return true;
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
    to = event->client == NONE ? write_int32(to, UINT32_MAX) : write_int64(to, find_key(&tables[CLIENTS], event->client));
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
    for (size_t field = 0; field < field_count; field++) add_name(r, &r->fields, fields[field]);
    for (size_t type = 0; type < type_count; type++) {
        r->classes[type] = spell(r, classes[type]);
        add_name(r, &r->types, types[type]);
    }
    Span user = spell(r, user_field);
    r->user_field = (Span){user.at + 1, user.size - 3};
    r->reason = find_name(&r->fields, (Span){(const uint8_t *)"reason", 6});
    r->error_code = find_name(&r->fields, (Span){(const uint8_t *)"error_code", 10});
    r->salt = salt;
    r->dictionary = dictionary;
    r->seed = seed;
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

/* Reads a body, which must stay where it is until it is rendered. False where it is refused; then all is forgotten. */
PUBLIC bool regular_scan(Renderer *r, const uint8_t *body, size_t size, int64_t earliest, int64_t latest) {
    Cursor c = {body, body + size, false};
    Result *result = &r->result;
    bool more = true;
    r->events.size = r->details.size = r->segments.size = r->odd.size = r->rows.size = 0;
    r->exhausted = size > LARGEST_BODY;
    *result = (Result){.earliest = INT64_MAX};
    for (int table = REPLIES; table < TABLES; table++) forget(&r->tables[table]);
    if (r->exhausted || !expect(&c, '[')) more = false, r->exhausted = true;
    else if (expect(&c, ']')) more = false;
    for (uint64_t position = 0; more; position++) {
        pass_space(&c);
        const uint8_t *begin = c.at;
        if (!read_item(r, &c) || !keep_event(r, earliest, latest)) {
            Span item;
            c.at = begin;
            if (!read_value(&c, 0, &item)) r->exhausted = true;
            uint64_t odd[3] = {position, (uint64_t)(begin - body), (uint64_t)(c.at - body)};
            put(r, &r->odd, odd, sizeof odd);
        }
        more = !r->exhausted && expect(&c, ',');
        if (!more && !expect(&c, ']')) r->exhausted = true;
    }
    pass_space(&c);
    if (r->exhausted || c.at != c.end) {
        regular_forget(r);
        return false;
    }
    result->count = r->events.size / sizeof(Event);
    result->details = r->details.at;
    result->details_size = r->details.size;
    result->segments = (const uint64_t *)(const void *)r->segments.at;
    result->odd = (const uint64_t *)(const void *)r->odd.at;
    result->odd_count = r->odd.size / (3 * sizeof(uint64_t));
    for (int number = 0; number < TABLES; number++) {
        Table *table = &r->tables[number];
        size_t count = table->entries.size / sizeof(Entry) - table->known;
        Fresh fresh = {NULL, 0, count, (const int64_t *)(const void *)table->times.at};
        if (count > 0) { /* without the last comma */
            fresh.texts = table->texts.at + table->known_text;
            fresh.size = table->texts.size - table->known_text - 1;
        }
        result->fresh[number] = fresh;
        result->remembered += number < REPLIES ? table->texts.size + table->entries.size : 0;
    }
    return true;
}

/* The keys of a table's fresh entries, in their order. */
PUBLIC bool regular_learn(Renderer *r, uint32_t number, const int64_t *keys, size_t count) {
    if (number >= TABLES) return false;
    Table *table = &r->tables[number];
    Entry *entries = (Entry *)(void *)table->entries.at;
    if (count != table->entries.size / sizeof(Entry) - table->known) return false;
    for (size_t fresh = 0; fresh < count; fresh++) entries[table->known + fresh].key = keys[fresh];
    table->known += count;
    table->known_text = table->texts.size;
    return true;
}

/* Writes the rows of the events that were scanned. `frames`: their compressed details, `sizes` of each. */
PUBLIC bool regular_render(Renderer *r, int32_t batch_id, const uint8_t *frames, size_t frames_size, const uint32_t *sizes,
                           size_t count) {
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
