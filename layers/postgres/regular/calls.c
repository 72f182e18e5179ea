/* Renders regular API calls in Moesif's shape as rows of COPY's binary format, for functions/s3_loader/regular_calls.py.

   As regular.c: a body is scanned, Python gives the short keys of what is new and compresses the details, then the rows
   are written. But bodies are loaded together: each has a scan of its own, and all that are made by one scanner share its
   tables. A scan is right until the scanner forgets. Nothing is decided here that Python would decide otherwise
   (tests/unit/s3_loader/test_regular_calls.py compares); a call that is not wholly understood is odd.

   A scanner and its scans belong to one thread at a time. */

#include "tables.h"

#define PUBLIC __attribute__((visibility("default")))
#define LARGEST_BODY ((size_t)1 << 28)
#define LONGEST_ID 600   /* bytes here, of a text with its escapes: no fewer than characters */
#define LONGEST_TEXT 300
#define LARGEST_PROPERTIES 8000
#define MOST_HEADERS 64
#define EPOCH_2000 946684800000 /* milliseconds from 1970 */
#define HOUR 3600000

enum { OPERATIONS, AGENTS, USERS, COMPANIES, TABLES };

/* The fields, in the order of the structures in _moesif_regular.py. */
enum { REQUEST, RESPONSE, USER_ID, COMPANY_ID, TRANSACTION_ID, DIRECTION, WEIGHT, CALL_OTHER, METADATA = CALL_OTHER + 1 };
enum { TIME, URI, VERB, API_VERSION, REQUEST_HEADERS, REQUEST_OTHER };
enum { RESPONSE_TIME, STATUS, RESPONSE_OTHER };
static const char *const CALL_FIELDS[] = {"request", "response", "user_id", "company_id", "transaction_id", "direction",
                                          "weight", "session_token", "metadata", "tags", "blocked_by", NULL};
static const char *const REQUEST_FIELDS[] = {"time", "uri", "verb", "api_version", "headers",
                                             "ip_address", "body", "transfer_encoding", NULL};
static const char *const RESPONSE_FIELDS[] = {"time", "status", "headers", "ip_address", "body", "transfer_encoding", NULL};
static const char *const VERBS[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", NULL};
static const char *const DIRECTIONS[] = {"Incoming", "Outgoing", "Internal", NULL};

typedef struct {
    int64_t time, high, low; /* milliseconds since 1970; the UUID */
    uint32_t operation, agent, user, company;
    uint32_t duration, weight; /* NONE; 0 */
    Span properties;
} Call;

typedef struct { uint32_t table, number; int64_t key, time; } Touch; /* of a user or a company the earliest call */
typedef struct { uint64_t scan, place; } Mark;  /* of an entry: the scan that met it last, and its place in `touched` */
typedef struct { const uint8_t *texts; uint64_t size, count; } Fresh;

/* What Python reads after a scan. */
typedef struct {
    uint64_t count;
    const uint8_t *details;
    uint64_t details_size;
    const uint64_t *segments; /* of each call: where its detail begins, its size */
    const uint64_t *odd;      /* of each odd item: position, where it begins, where it ends */
    uint64_t odd_count;
    const int64_t *hours; /* that hold a call, each once, milliseconds since 1970 */
    uint64_t hour_count;
    const Touch *touched;
    uint64_t touched_count;
    const uint8_t *rows; /* of the scanner, until it renders again */
    uint64_t rows_size;
} Result;

typedef struct {
    Result result; /* first: Python reads it there */
    Buffer calls, details, segments, odd, touched;
    Table hours;
} Scan;

typedef struct { Span values[16]; uint32_t seen; } Fields;
typedef struct { Names names; uint8_t next[17]; } Members; /* and which of them came next, last time: + 1; first: [0] */

typedef struct {
    Fresh fresh[TABLES]; /* first: Python reads it there; what the last scan met for the first time */
    uint64_t remembered; /* bytes of the tables */
    uint64_t spoilt;     /* a body was refused of which something is in the tables: all must be forgotten */
    uint64_t listed[TABLES], listed_text[TABLES]; /* entries that were fresh, and the bytes of these */
    Table tables[TABLES];
    Buffer marks[TABLES]; /* of users and companies */
    Members call_names, request_names, response_names;
    Buffer spellings, rows;
    int64_t salt;
    uint64_t scans;
    uint8_t dictionary;
    /* of the call that is being read */
    Fields call, request, response;
    Span headers[MOST_HEADERS][2];
    size_t header_count;
} Scanner;

/* ---- Reading ---- */

static inline bool has(const Fields *fields, uint32_t field) { return fields->seen >> field & 1; }

/* The members of an object whose names are known, each once. What is under `others` is read as it comes. */
static bool read_member(Scanner *s, Cursor *c, const Members *members, uint32_t field, Span *value);

static bool starts_with(const Cursor *c, Span text) {
    return (size_t)(c->end - c->at) >= text.size && memcmp(c->at, text.at, text.size) == 0;
}

static bool read_fields(Scanner *s, Cursor *c, Members *members, Fields *fields) {
    uint8_t *next = &members->next[0];
    fields->seen = 0;
    if (expect(c, '}')) return true;
    do {
        Span name;
        pass_space(c);
        uint32_t field = *next - 1u; /* most calls are alike */
        if (field < members->names.count && starts_with(c, members->names.spelled[field])) {
            c->at += members->names.spelled[field].size;
        } else {
            if (!read_string(c, &name)) return false;
            field = find_name(&members->names, unquote(name));
            if (field == NONE || !expect(c, ':')) return false;
            *next = (uint8_t)(field + 1);
        }
        if (has(fields, field)) return false;
        next = &members->next[field + 1];
        pass_space(c);
        if (!read_member(s, c, members, field, &fields->values[field])) return false;
        fields->seen |= 1u << field;
    } while (expect(c, ','));
    return expect(c, '}');
}

/* Whether Python would write a string as it came: what must be escaped is, by the shortest escape, and nothing else. */
static bool is_shortest(Span string) {
    if (!is_escaped(string)) return true;
    for (const uint8_t *at = string.at + 1, *end = string.at + string.size - 1; at < end; at++)
        if (*at == '\\' && (*++at == 'u' || *at == '/')) return false;
    return true;
}

/* Headers, which Python decodes and encodes: names that differ, texts and words as Python would write them. */
static bool read_headers(Scanner *s, Cursor *c) {
    size_t known = s->header_count; /* of the call before */
    bool alike = true;
    s->header_count = 0;
    if (expect(c, '}')) return true;
    do {
        Span *header = s->headers[s->header_count];
        pass_space(c);
        if (s->header_count == MOST_HEADERS) return false;
        alike &= s->header_count < known && starts_with(c, header[0]);
        if (alike) {
            header[0].at = c->at;
            c->at += header[0].size;
        } else {
            if (!read_string(c, &header[0]) || !is_shortest(header[0])) return false;
            for (size_t other = 0; other < s->header_count; other++)
                if (equals(s->headers[other][0], header[0])) return false;
        }
        if (!expect(c, ':') || !read_value(c, 0, &header[1])) return false;
        uint8_t first = *header[1].at;
        if (first == '"' ? !is_shortest(header[1]) : first != 't' && first != 'f' && first != 'n') return false;
        s->header_count++;
    } while (expect(c, ','));
    return expect(c, '}');
}

/* Whether each half of a surrogate pair has the other half; of valid JSON. */
static bool has_whole_pairs(Span value) {
    for (const uint8_t *at = value.at, *end = at + value.size; at < end; at++) {
        if (*at != '\\' || *++at != 'u') continue;
        int number = read_hexadecimal(at + 1);
        if (number < 0xd800 || number >= 0xe000) continue;
        if (number >= 0xdc00 || end - at < 11 || at[5] != '\\' || at[6] != 'u') return false;
        number = read_hexadecimal(at + 7);
        if (number < 0xdc00 || number >= 0xe000) return false;
        at += 10;
    }
    return true;
}

static bool read_member(Scanner *s, Cursor *c, const Members *members, uint32_t field, Span *value) {
    const uint8_t *begin = c->at;
    bool call = members == &s->call_names, request = members == &s->request_names;
    bool object = begin < c->end && *begin == '{';
    *value = (Span){begin, 0};
    if (object && call && field == REQUEST) return c->at++, read_fields(s, c, &s->request_names, &s->request);
    if (object && call && field == RESPONSE) return c->at++, read_fields(s, c, &s->response_names, &s->response);
    if (object && request && field == REQUEST_HEADERS) return c->at++, read_headers(s, c);
    if (field >= (call ? (uint32_t)CALL_OTHER : request ? (uint32_t)REQUEST_OTHER : (uint32_t)RESPONSE_OTHER)) {
        bool odd = c->odd; /* it is kept as it came, whatever numbers are in it */
        c->odd = false;
        if (!read_value(c, 0, value)) return false;
        c->odd = odd || (c->odd && is_escaped(*value) && !has_whole_pairs(*value));
        return true;
    }
    return read_value(c, 0, value) && (*value->at == '"' || *value->at == 'n' || (*value->at >= '0' && *value->at <= '9'));
}

static bool is_text(const Fields *fields, uint32_t field) { return has(fields, field) && *fields->values[field].at == '"'; }

/* Whether a field is a text with something in it, which a column takes. */
static bool is_said(const Fields *fields, uint32_t field) { return is_text(fields, field) && fields->values[field].size > 2; }

/* Whether a field is absent, null or a text of at most so many bytes. */
static bool fits(const Fields *fields, uint32_t field, size_t longest) {
    if (!has(fields, field)) return true;
    Span value = fields->values[field];
    return *value.at == 'n' || (*value.at == '"' && value.size - 2 <= longest);
}

static bool is_one_of(Span text, const char *const *words) {
    for (; *words != NULL; words++)
        if (equals(text, (Span){(const uint8_t *)*words, strlen(*words)})) return true;
    return false;
}

/* Digits as a number, without a zero before others. */
static bool read_number(Span text, size_t longest, uint32_t *number) {
    *number = 0;
    if (text.size == 0 || text.size > longest || (text.size > 1 && *text.at == '0')) return false;
    for (size_t at = 0; at < text.size; at++) {
        if (text.at[at] < '0' || text.at[at] > '9') return false;
        *number = *number * 10 + (text.at[at] - '0');
    }
    return true;
}

static bool read_digits(const uint8_t **at, size_t count, int *number) {
    *number = 0;
    while (count-- > 0) {
        if (**at < '0' || **at > '9') return false;
        *number = *number * 10 + (*(*at)++ - '0');
    }
    return true;
}

/* `"2026-11-21T12:34:56.789Z"`, or without its Z, as milliseconds since 1970. */
static bool read_time(Span string, int64_t *time) {
    static const int days_before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int year, month, day, hour, minute, second, millisecond;
    const uint8_t *at = string.at + 1;
    if (*string.at != '"' || string.size < 25 || string.size > 26) return false;
    if (!read_digits(&at, 4, &year) || *at++ != '-' || !read_digits(&at, 2, &month) || *at++ != '-'
        || !read_digits(&at, 2, &day) || *at++ != 'T' || !read_digits(&at, 2, &hour) || *at++ != ':'
        || !read_digits(&at, 2, &minute) || *at++ != ':' || !read_digits(&at, 2, &second) || *at++ != '.'
        || !read_digits(&at, 3, &millisecond) || (string.size == 26 && *at != 'Z'))
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return false;
    if (day < 1 || day > days_before[month] - days_before[month - 1] + (leap && month == 2)) return false;
    int past = year - 1;
    int64_t days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
    days += days_before[month - 1] + (leap && month > 2) + day - 1;
    *time = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millisecond;
    return true;
}

/* A UUID in small letters. */
static bool read_uuid(Span string, int64_t *high, int64_t *low) {
    uint64_t halves[2] = {0, 0};
    int digits = 0;
    if (*string.at != '"' || string.size != 38) return false;
    for (size_t at = 1; at < 37; at++) {
        uint8_t letter = string.at[at];
        if (at == 9 || at == 14 || at == 19 || at == 24) {
            if (letter != '-') return false;
            continue;
        }
        int value = letter >= '0' && letter <= '9' ? letter - '0' : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
        if (value < 0) return false;
        halves[digits / 16] = halves[digits / 16] << 4 | (uint64_t)value;
        digits++;
    }
    *high = (int64_t)halves[0];
    *low = (int64_t)halves[1];
    return true;
}

/* Whether there is an escape that Postgres can't store, or what may be a half of it. */
static bool has_odd_escape(Span text) {
    for (const uint8_t *at = text.at, *end = text.at + text.size; end - at >= 6; at++) {
        if (at[0] != '\\' || at[1] != 'u') continue;
        if (((at[2] | 0x20) == 'd' && at[3] >= '8') || memcmp(at + 2, "0000", 4) == 0) return true;
    }
    return false;
}

/* What of a metadata object is a column, as s3_loader/properties.py has it; false where Python writes it anew. */
static bool settle_properties(Span metadata, Span *properties) {
    *properties = (Span){NULL, 0};
    if (*metadata.at != '{' || metadata.size <= 2 || metadata.size > LARGEST_PROPERTIES) return true;
    size_t digits = 0;
    bool number = false, plain = true;
    for (const uint8_t *at = metadata.at, *end = at + metadata.size; at < end; at++) {
        if (*at >= '0' && *at <= '9') {
            number |= ++digits >= 100;
            continue;
        }
        if (digits > 0 && (*at | 0x20) == 'e') { /* what may be an exponent of three digits */
            const uint8_t *first = at + 1 + (at[1] == '+' || at[1] == '-'), *next = first; /* a brace is the last */
            while (*next >= '0' && *next <= '9') next++;
            number |= next - first >= 3;
        }
        digits = 0;
        plain &= *at > ' ' && *at != '.' && *at != '\\';
    }
    if (!plain && is_escaped(metadata) && has_odd_escape(metadata)) return false;
    if (number) { /* Python decodes and encodes it: what is plain stays as it is */
        Cursor c = {metadata.at, metadata.at + metadata.size, false};
        if (!plain || !read_value(&c, 0, &metadata) || c.odd) return false;
    }
    *properties = metadata;
    return true;
}

static bool is_hexadecimal(uint8_t letter) {
    return (letter >= '0' && letter <= '9') || ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'f') || letter == '-';
}

/* Whether a name in a path stands for one thing among many; of other such names each is looked up by itself. */
static bool is_id(const uint8_t *at, const uint8_t *end) {
    bool digits = at < end, hexadecimal = end - at >= 8, digit = false;
    for (; at < end && (digits || hexadecimal); at++) {
        bool is_digit = *at >= '0' && *at <= '9';
        digits &= is_digit;
        hexadecimal &= is_hexadecimal(*at);
        digit |= is_digit;
    }
    return digits || (hexadecimal && digit);
}

/* Puts the path of a URI, with 0 for what is an id; false where the route may be too long for a column. */
static bool put_path(Buffer *texts, Span uri) {
    const uint8_t *at = uri.at + 1, *end = uri.at + uri.size - 1, *name;
    size_t room = 0;
    for (const uint8_t *stop = at; stop < end; stop++)
        if (*stop == '?' || *stop == '#') end = stop;
    for (const uint8_t *slash = at; slash < end; slash++) room += *slash == '/' ? 4 : 1;
    if (room > LONGEST_TEXT) return false;
    PUT(texts, "\"");
    while ((name = memchr(at, '/', (size_t)(end - at))) != NULL) {
        name++;
        put(texts, at, (size_t)(name - at));
        const uint8_t *next = memchr(name, '/', (size_t)(end - name));
        at = name;
        if (is_id(name, next == NULL ? end : next)) {
            PUT(texts, "0");
            at = next == NULL ? end : next;
        }
    }
    put(texts, at, (size_t)(end - at));
    PUT(texts, "\"");
    return true;
}

static uint32_t intern_operation(Scanner *s, bool *fitting) {
    Buffer *texts = &s->tables[OPERATIONS].texts;
    size_t begin = texts->size;
    PUT(texts, "[");
    put(texts, s->request.values[VERB].at, s->request.values[VERB].size);
    PUT(texts, ",");
    *fitting = put_path(texts, s->request.values[URI]);
    if (!*fitting) {
        texts->size = begin;
        return NONE;
    }
    PUT(texts, ",");
    bool response = has(&s->call, RESPONSE) && s->call.values[RESPONSE].size == 0;
    if (response && has(&s->response, STATUS)) put(texts, s->response.values[STATUS].at, s->response.values[STATUS].size);
    else PUT(texts, "null");
    PUT(texts, ",");
    if (is_said(&s->call, DIRECTION)) put(texts, s->call.values[DIRECTION].at, s->call.values[DIRECTION].size);
    else PUT(texts, "null");
    PUT(texts, ",");
    if (is_said(&s->request, API_VERSION)) put(texts, s->request.values[API_VERSION].at, s->request.values[API_VERSION].size);
    else PUT(texts, "null");
    PUT(texts, "],");
    return intern(&s->tables[OPERATIONS], begin);
}

static uint32_t intern_text(Scanner *s, int table, Span string) {
    Buffer *texts = &s->tables[table].texts;
    size_t begin = texts->size;
    put(texts, string.at, string.size);
    PUT(texts, ",");
    return intern(&s->tables[table], begin);
}

/* As intern_text, of somebody who did something. */
static uint32_t touch_text(Scanner *s, Scan *scan, int table, Span string, int64_t time) {
    uint32_t number = intern_text(s, table, string);
    Buffer *marks = &s->marks[table], *touched = &scan->touched;
    if (has_failed(&s->tables[table])) return number;
    if (number == marks->size / sizeof(Mark)) put(marks, &(Mark){0, 0}, sizeof(Mark));
    if (marks->failed) return number;
    Mark *mark = (Mark *)(void *)marks->at + number;
    if (mark->scan != s->scans) {
        *mark = (Mark){s->scans, touched->size / sizeof(Touch)};
        put(touched, &(Touch){(uint32_t)table, number, 0, time}, sizeof(Touch));
    } else {
        Touch *touch = (Touch *)(void *)touched->at + mark->place;
        if (time < touch->time) touch->time = time;
    }
    return number;
}

static void put_member(Buffer *buffer, const Members *members, const Fields *fields, uint32_t field) {
    if (!has(fields, field)) return;
    Span name = members->names.spelled[field];
    put(buffer, name.at, name.size);
    put(buffer, fields->values[field].at, fields->values[field].size);
    PUT(buffer, ",");
}

static void close_object(Buffer *buffer) {
    if (buffer->failed) return;
    if (buffer->at[buffer->size - 1] == ',') buffer->size--;
    PUT(buffer, "},");
}

static void put_headers(Scanner *s, Buffer *details, const Span *agent) {
    static const uint8_t small[] = "\"user-agent\"";
    PUT(details, "\"headers\":{");
    for (size_t number = 0; number < s->header_count; number++) {
        const Span *header = s->headers[number];
        if (header == agent) continue;
        put(details, header[0].at, header[0].size);
        PUT(details, ":");
        put(details, header[1].at, header[1].size);
        PUT(details, ",");
    }
    if (agent != NULL && equals(agent[0], (Span){small, sizeof small - 1})) PUT(details, "\"user-agent\":\"\",");
    close_object(details);
}

static void put_detail(Scanner *s, Scan *scan, const Span *agent, bool weighed) {
    Buffer *details = &scan->details;
    const Fields *call = &s->call, *request = &s->request, *response = &s->response;
    uint64_t segment[2] = {details->size, 0};
    PUT(details, "{\"request\":{");
    if (request->values[TIME].size != 26) put_member(details, &s->request_names, request, TIME);
    put_member(details, &s->request_names, request, URI);
    if (!is_said(request, API_VERSION)) put_member(details, &s->request_names, request, API_VERSION);
    if (has(request, REQUEST_HEADERS)) {
        if (request->values[REQUEST_HEADERS].size == 0) put_headers(s, details, agent);
        else put_member(details, &s->request_names, request, REQUEST_HEADERS);
    }
    for (uint32_t field = REQUEST_OTHER; field < s->request_names.names.count; field++)
        put_member(details, &s->request_names, request, field);
    close_object(details);
    if (has(call, RESPONSE) && call->values[RESPONSE].size == 0) {
        PUT(details, "\"response\":{");
        if (has(response, RESPONSE_TIME) && response->values[RESPONSE_TIME].size != 26)
            put_member(details, &s->response_names, response, RESPONSE_TIME);
        for (uint32_t field = RESPONSE_OTHER; field < s->response_names.names.count; field++)
            put_member(details, &s->response_names, response, field);
        close_object(details);
    } else {
        put_member(details, &s->call_names, call, RESPONSE);
    }
    for (uint32_t field = USER_ID; field < s->call_names.names.count; field++) {
        bool column = field == TRANSACTION_ID || (field == WEIGHT ? weighed : field < CALL_OTHER && is_said(call, field));
        if (!column) put_member(details, &s->call_names, call, field);
    }
    close_object(details);
    if (details->failed) return;
    details->size--; /* the last comma */
    segment[1] = details->size - segment[0];
    put(&scan->segments, segment, sizeof segment);
}

/* The header that says the user agent; false where it says it as Python has to look at. */
static bool find_agent(const Scanner *s, const Span **agent) {
    static const uint8_t usual[] = "\"User-Agent\"", small[] = "\"user-agent\"";
    *agent = NULL;
    if (!has(&s->request, REQUEST_HEADERS) || s->request.values[REQUEST_HEADERS].size != 0) return true;
    for (size_t number = 0; number < s->header_count; number++) {
        const Span *header = s->headers[number];
        if (header[0].size != sizeof usual - 1) continue;
        if (memcmp(header[0].at, usual, sizeof usual - 1) != 0 && memcmp(header[0].at, small, sizeof small - 1) != 0) continue;
        if (*agent != NULL) { /* both are there and stay */
            *agent = NULL;
            return true;
        }
        *agent = header;
    }
    return *agent == NULL || (*(*agent)[1].at == '"' && (*agent)[1].size > 2 && (*agent)[1].size - 2 <= LONGEST_TEXT);
}

/* Keeps the call that was read; false where Python must look at it. Limits are milliseconds. */
static bool keep_call(Scanner *s, Scan *scan, int64_t earliest, int64_t latest) {
    const Fields *call = &s->call, *request = &s->request, *response = &s->response;
    Call row = {.agent = NONE, .user = NONE, .company = NONE, .duration = NONE};
    const Span *agent;
    int64_t end;
    uint32_t status;
    bool fitting;
    if (!has(call, REQUEST) || call->values[REQUEST].size != 0 || !has(call, TRANSACTION_ID) || !is_text(request, TIME)
        || !is_text(request, URI) || !is_text(request, VERB))
        return false;
    if (!read_time(request->values[TIME], &row.time) || row.time < earliest || row.time > latest
        || !read_uuid(call->values[TRANSACTION_ID], &row.high, &row.low)
        || is_escaped(request->values[URI]) || !is_one_of(unquote(request->values[VERB]), VERBS)
        || !fits(request, API_VERSION, LONGEST_TEXT) || !fits(call, USER_ID, LONGEST_ID) || !fits(call, COMPANY_ID, LONGEST_ID)
        || !fits(call, DIRECTION, LONGEST_TEXT)
        || (is_said(call, DIRECTION) && !is_one_of(unquote(call->values[DIRECTION]), DIRECTIONS)))
        return false;
    if (has(request, REQUEST_HEADERS) && request->values[REQUEST_HEADERS].size != 0
        && *request->values[REQUEST_HEADERS].at != 'n')
        return false;
    if (has(call, WEIGHT) && *call->values[WEIGHT].at != 'n' && !read_number(call->values[WEIGHT], 9, &row.weight))
        return false;
    if (has(call, RESPONSE) && call->values[RESPONSE].size != 0 && *call->values[RESPONSE].at != 'n') return false;
    if (has(call, RESPONSE) && call->values[RESPONSE].size == 0) {
        if (has(response, STATUS) && !read_number(response->values[STATUS], 4, &status)) return false;
        if (has(response, RESPONSE_TIME)) {
            if (!read_time(response->values[RESPONSE_TIME], &end) || end < row.time || end - row.time > INT32_MAX) return false;
            row.duration = (uint32_t)(end - row.time);
        }
    }
    if (has(call, METADATA) && !settle_properties(call->values[METADATA], &row.properties)) return false;
    if (!find_agent(s, &agent)) return false;
    row.operation = intern_operation(s, &fitting);
    if (!fitting) return false;
    bool weighed = row.weight > 1;
    if (!weighed) row.weight = 0;
    if (agent != NULL) row.agent = intern_text(s, AGENTS, agent[1]);
    if (is_said(call, USER_ID)) row.user = touch_text(s, scan, USERS, call->values[USER_ID], row.time);
    if (is_said(call, COMPANY_ID)) row.company = touch_text(s, scan, COMPANIES, call->values[COMPANY_ID], row.time);
    int64_t hour = row.time - row.time % HOUR;
    size_t begin = scan->hours.texts.size;
    put(&scan->hours.texts, &hour, sizeof hour);
    intern(&scan->hours, begin);
    put_detail(s, scan, agent, weighed);
    put(&scan->calls, &row, sizeof row);
    return true;
}

static bool read_call(Scanner *s, Scan *scan, Cursor *c, int64_t earliest, int64_t latest) {
    c->odd = false;
    if (!expect(c, '{') || !read_fields(s, c, &s->call_names, &s->call) || c->odd) return false;
    return keep_call(s, scan, earliest, latest);
}

/* All items of a body, an array or one: those that are odd are listed. False where it is not JSON. */
static bool read_body(Scanner *s, Scan *scan, Cursor *c, int64_t earliest, int64_t latest) {
    const uint8_t *body = c->at;
    uint64_t position = 0;
    pass_space(c);
    bool single = c->at < c->end && *c->at == '{';
    if (!single && !expect(c, '[')) return false;
    bool more = single || !expect(c, ']');
    while (more) {
        pass_space(c);
        const uint8_t *begin = c->at;
        if (!read_call(s, scan, c, earliest, latest)) {
            Span item;
            c->at = begin;
            if (!read_value(c, 0, &item)) return false;
            uint64_t odd[3] = {position, (uint64_t)(begin - body), (uint64_t)(c->at - body)};
            put(&scan->odd, odd, sizeof odd);
        }
        position++;
        more = !single && expect(c, ',');
        if (!single && !more && !expect(c, ']')) return false;
    }
    pass_space(c);
    return c->at == c->end;
}

/* ---- Rows ---- */

static inline uint8_t *write_int32(uint8_t *to, uint32_t number) {
    number = __builtin_bswap32(number);
    memcpy(to, &number, 4);
    return to + 4;
}

static inline uint8_t *write_int64(uint8_t *to, int64_t number) {
    uint64_t turned = __builtin_bswap64((uint64_t)number);
    to = write_int32(to, 8);
    memcpy(to, &turned, 8);
    return to + 8;
}

static inline uint8_t *write_optional(uint8_t *to, bool given, uint32_t number) {
    return given ? write_int32(write_int32(to, 4), number) : write_int32(to, UINT32_MAX);
}

static inline uint8_t *write_key(const Scanner *s, int table, uint8_t *to, uint32_t number) {
    return write_optional(to, number != NONE, number == NONE ? 0 : (uint32_t)find_key(&s->tables[table], number));
}

static uint8_t *write_row(const Scanner *s, uint8_t *to, const Call *row, int32_t batch_id, Span frame) {
    *to++ = 0;
    *to++ = 12;
    to = write_int64(to, (row->time - EPOCH_2000) * 1000);
    to = write_int64(to, row->high ^ row->low ^ s->salt);
    to = write_int64(to, row->low);
    to = write_optional(to, row->duration != NONE, row->duration);
    to = write_optional(to, row->weight != 0, row->weight);
    to = write_int32(to, (uint32_t)(frame.size + 1));
    *to++ = s->dictionary;
    memcpy(to, frame.at, frame.size);
    to = write_key(s, OPERATIONS, to + frame.size, row->operation);
    to = write_optional(to, true, (uint32_t)batch_id);
    to = write_key(s, USERS, to, row->user);
    to = write_key(s, COMPANIES, to, row->company);
    to = write_key(s, AGENTS, to, row->agent);
    if (row->properties.at == NULL) return write_int32(to, UINT32_MAX);
    to = write_int32(to, (uint32_t)(row->properties.size + 1));
    *to++ = 1;
    memcpy(to, row->properties.at, row->properties.size);
    return to + row->properties.size;
}

/* ---- What Python calls ---- */

PUBLIC uint32_t calls_version(void) { return VERSION; }

static void free_table(Table *table) {
    free(table->texts.at);
    free(table->entries.at);
    free(table->times.at);
    free(table->slots);
}

PUBLIC void calls_free(Scanner *s) {
    if (s == NULL) return;
    for (int table = 0; table < TABLES; table++) {
        free_table(&s->tables[table]);
        free(s->marks[table].at);
    }
    free(s->spellings.at);
    free(s->rows.at);
    free(s);
}

static void add_names(Buffer *spellings, Names *names, const char *const *fields) {
    for (; *fields != NULL; fields++) add_name(spellings, names, *fields);
}

/* NULL: no memory. */
PUBLIC Scanner *calls_new(int64_t salt, uint8_t dictionary, uint64_t seed) {
    Scanner *s = calloc(1, sizeof *s);
    if (s == NULL || !reserve(&s->spellings, 1024)) { /* at once: names are pointed at */
        calls_free(s);
        return NULL;
    }
    add_names(&s->spellings, &s->call_names.names, CALL_FIELDS);
    add_names(&s->spellings, &s->request_names.names, REQUEST_FIELDS);
    add_names(&s->spellings, &s->response_names.names, RESPONSE_FIELDS);
    s->salt = salt;
    s->dictionary = dictionary;
    for (int table = 0; table < TABLES; table++) s->tables[table].seed = seed;
    return s;
}

/* Tells of the entries that were not told of before. */
static void list_fresh(Scanner *s) {
    s->remembered = 0;
    for (int number = 0; number < TABLES; number++) {
        const Table *table = &s->tables[number];
        uint64_t count = table->entries.size / sizeof(Entry);
        s->fresh[number] = (Fresh){NULL, 0, count - s->listed[number]};
        if (s->fresh[number].count > 0) {
            s->fresh[number].texts = table->texts.at + s->listed_text[number];
            s->fresh[number].size = table->texts.size - s->listed_text[number] - 1; /* without the last comma */
        }
        s->listed[number] = count;
        s->listed_text[number] = table->texts.size;
        s->remembered += table->texts.size + table->entries.size + s->marks[number].size;
    }
}

/* Forgets all keys; scans that were made before are void. */
PUBLIC void calls_forget(Scanner *s) {
    for (int table = 0; table < TABLES; table++) {
        forget(&s->tables[table]);
        s->marks[table].size = 0;
        s->marks[table].failed = false;
        s->listed[table] = s->listed_text[table] = 0;
    }
    list_fresh(s);
}

PUBLIC Scan *calls_new_scan(void) { return calloc(1, sizeof(Scan)); }

PUBLIC void calls_free_scan(Scan *scan) {
    if (scan == NULL) return;
    Buffer *buffers[] = {&scan->calls, &scan->details, &scan->segments, &scan->odd, &scan->touched};
    for (size_t buffer = 0; buffer < sizeof buffers / sizeof *buffers; buffer++) free(buffers[buffer]->at);
    free_table(&scan->hours);
    free(scan);
}

/* Reads a body, which must stay where it is until it is rendered. False where it is refused. */
PUBLIC bool calls_scan(Scanner *s, Scan *scan, const uint8_t *body, size_t size, int64_t earliest, int64_t latest) {
    Buffer *buffers[] = {&scan->calls, &scan->details, &scan->segments, &scan->odd, &scan->touched};
    Cursor c = {body, body + size, false};
    Result *result = &scan->result;
    for (size_t buffer = 0; buffer < sizeof buffers / sizeof *buffers; buffer++) {
        buffers[buffer]->size = 0;
        buffers[buffer]->failed = false;
    }
    forget(&scan->hours);
    scan->hours.seed = s->tables[0].seed;
    *result = (Result){0};
    s->scans++;
    s->spoilt = 0;
    s->header_count = 0;
    bool failed = size > LARGEST_BODY || !read_body(s, scan, &c, earliest, latest);
    for (size_t buffer = 0; buffer < sizeof buffers / sizeof *buffers; buffer++) failed |= buffers[buffer]->failed;
    for (int table = 0; table < TABLES; table++) failed |= has_failed(&s->tables[table]) || s->marks[table].failed;
    if (failed || has_failed(&scan->hours)) {
        for (int table = 0; table < TABLES; table++)
            s->spoilt |= has_failed(&s->tables[table]) || s->marks[table].failed
                || s->tables[table].entries.size / sizeof(Entry) != s->listed[table];
        return false;
    }
    result->count = scan->calls.size / sizeof(Call);
    result->details = scan->details.at;
    result->details_size = scan->details.size;
    result->segments = (const uint64_t *)(const void *)scan->segments.at;
    result->odd = (const uint64_t *)(const void *)scan->odd.at;
    result->odd_count = scan->odd.size / (3 * sizeof(uint64_t));
    result->hours = (const int64_t *)(const void *)scan->hours.texts.at;
    result->hour_count = scan->hours.texts.size / sizeof(int64_t);
    result->touched = (const Touch *)(const void *)scan->touched.at;
    result->touched_count = scan->touched.size / sizeof(Touch);
    list_fresh(s);
    return true;
}

/* The keys of all of a table's entries that have none, in their order. */
PUBLIC bool calls_learn(Scanner *s, uint32_t number, const int64_t *keys, size_t count) {
    return number < TABLES && learn(&s->tables[number], keys, count);
}

/* Finds the keys of whom a scan touches. False where some have none yet. */
PUBLIC bool calls_touch(const Scanner *s, Scan *scan) {
    Touch *touched = (Touch *)(void *)scan->touched.at;
    for (size_t number = 0; number < scan->touched.size / sizeof(Touch); number++) {
        const Table *table = &s->tables[touched[number].table];
        if (touched[number].number >= table->known) return false;
        touched[number].key = find_key(table, touched[number].number);
    }
    return true;
}

/* Writes the rows of a scan. `frames`: the compressed details, `sizes` of each. */
PUBLIC bool calls_render(Scanner *s, Scan *scan, int32_t batch_id, const uint8_t *frames, size_t frames_size,
                         const uint32_t *sizes, size_t count) {
    const Call *calls = (const Call *)(const void *)scan->calls.at;
    if (count != scan->calls.size / sizeof(Call)) return false;
    for (int table = 0; table < TABLES; table++)
        if (s->tables[table].known != s->tables[table].entries.size / sizeof(Entry)) return false;
    s->rows.size = 0;
    s->rows.failed = false;
    for (size_t number = 0; number < count; number++) {
        size_t room = 2 + 12 * 12 + calls[number].properties.size + sizes[number] + 2;
        if (sizes[number] > frames_size || !reserve(&s->rows, room)) return false;
        Span frame = {frames, sizes[number]};
        s->rows.size = (size_t)(write_row(s, s->rows.at + s->rows.size, &calls[number], batch_id, frame) - s->rows.at);
        frames += sizes[number];
        frames_size -= sizes[number];
    }
    scan->result.rows = s->rows.at;
    scan->result.rows_size = s->rows.size;
    return true;
}
