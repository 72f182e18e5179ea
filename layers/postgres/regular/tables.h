/* Memory that grows, texts that are numbered in the order in which they are met, names that are known beforehand. */

#ifndef TABLES_H
#define TABLES_H

#include <stdlib.h>

#include "json.h"

#define VERSION 1 /* of what Python calls */
#define NONE UINT32_MAX
#define NAMES 128 /* at most, of one kind */

typedef struct { uint8_t *at; size_t size, room; bool failed; } Buffer; /* failed: there was no memory */
typedef struct { uint64_t hash; size_t begin, size; int64_t key; } Entry;

typedef struct {
    Buffer texts;             /* JSON of each entry, and a comma behind each */
    Buffer entries;           /* of Entry */
    Buffer times;             /* int64_t, of each entry the earliest event; of people alone */
    uint32_t *slots;          /* hash -> entry's number + 1; 0: free */
    size_t slot_count;        /* a power of 2, more than twice the entries */
    size_t known, known_text; /* entries that have their key, and the bytes of these */
    uint64_t seed;            /* so that nobody can make texts that share a hash */
} Table;

typedef struct {
    Span spelled[NAMES]; /* each as `"name":` */
    uint8_t slots[256];  /* hash -> number + 1 */
    size_t count;
} Names;

/* Room for so many bytes more. */
static bool reserve(Buffer *buffer, size_t more) {
    if (buffer->failed) return false;
    if (more <= buffer->room - buffer->size) return true;
    size_t room = buffer->room < 4096 ? 4096 : buffer->room;
    while (room - buffer->size < more && room <= SIZE_MAX / 4) room *= 2;
    uint8_t *at = room - buffer->size < more ? NULL : realloc(buffer->at, room);
    buffer->failed = at == NULL;
    if (buffer->failed) return false;
    buffer->at = at;
    buffer->room = room;
    return true;
}

static void put(Buffer *buffer, const void *from, size_t size) {
    if (size == 0 || !reserve(buffer, size)) return;
    memcpy(buffer->at + buffer->size, from, size);
    buffer->size += size;
}

#define PUT(buffer, text) put(buffer, text, sizeof(text) - 1)

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

static void forget(Table *table) {
    table->texts.size = table->entries.size = table->times.size = table->known = table->known_text = 0;
    table->texts.failed = table->entries.failed = table->times.failed = false;
    if (table->slots != NULL) memset(table->slots, 0, table->slot_count * sizeof *table->slots);
}

static bool has_failed(const Table *table) {
    return table->texts.failed || table->entries.failed || table->times.failed;
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
static uint32_t intern(Table *table, size_t begin) {
    size_t count = table->entries.size / sizeof(Entry), size = table->texts.size - begin;
    if (has_failed(table) || count >= NONE - 1 || !widen(table, count + 1)) {
        table->texts.failed = true;
        return 0;
    }
    const uint8_t *text = table->texts.at + begin;
    uint64_t hash = hash_text(table->seed, text, size);
    size_t slot = hash & (table->slot_count - 1);
    for (uint32_t number; (number = table->slots[slot]) != 0; slot = (slot + 1) & (table->slot_count - 1)) {
        const Entry *entry = (const Entry *)(const void *)table->entries.at + (number - 1);
        if (entry->hash == hash && entry->size == size && memcmp(table->texts.at + entry->begin, text, size) == 0) {
            table->texts.size = begin;
            return number - 1;
        }
    }
    Entry entry = {hash, begin, size, 0};
    put(&table->entries, &entry, sizeof entry);
    if (!table->entries.failed) table->slots[slot] = (uint32_t)count + 1;
    return (uint32_t)count;
}

static int64_t find_key(const Table *table, uint32_t number) {
    return ((const Entry *)(const void *)table->entries.at)[number].key;
}

/* As intern, of somebody whom an event happened to. */
static uint32_t touch(Table *table, size_t begin, int64_t time) {
    uint32_t number = intern(table, begin);
    if (has_failed(table)) return number;
    if (number == table->times.size / sizeof time) {
        put(&table->times, &time, sizeof time);
    } else {
        int64_t *known = (int64_t *)(void *)table->times.at + number;
        if (time < *known) *known = time;
    }
    return number;
}

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

static Span spell(Buffer *spellings, const char *name) {
    size_t size = strlen(name), begin = spellings->size;
    PUT(spellings, "\"");
    put(spellings, name, size);
    PUT(spellings, "\":");
    return (Span){spellings->at + begin, spellings->size - begin};
}

static void add_name(Buffer *spellings, Names *names, const char *name) {
    Span spelled = names->spelled[names->count++] = spell(spellings, name);
    uint8_t slot = hash_name((Span){spelled.at + 1, spelled.size - 3});
    while (names->slots[slot] != 0) slot++;
    names->slots[slot] = (uint8_t)names->count;
}

/* The keys of all of a table's entries that have none, in their order; no fewer and no more. */
static bool learn(Table *table, const int64_t *keys, size_t count) {
    Entry *entries = (Entry *)(void *)table->entries.at;
    if (count != table->entries.size / sizeof(Entry) - table->known) return false;
    for (size_t fresh = 0; fresh < count; fresh++) entries[table->known + fresh].key = keys[fresh];
    table->known += count;
    table->known_text = table->texts.size;
    return true;
}

#endif
