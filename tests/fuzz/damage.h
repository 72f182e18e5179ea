/* Damages bodies at random. Before it: `tokens`, an array of Span that are put between. */

#include <stdio.h>

#define MOST 8192
#define GROWTH 4096
#define COUNT(list) (sizeof(list) / sizeof *(list))

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

/* Arguments: a seed, how many rounds, a file of bodies, each behind its size (32 bits). For each round `start` may make
   all anew, and `render` gets a damaged body; it returns how much of it was rendered. */
static int run(int count, char **arguments, void (*start)(void), size_t (*render)(const uint8_t *body, size_t size)) {
    static uint8_t *bodies[MOST];
    static uint32_t sizes[MOST];
    size_t known = 0, rendered = 0;
    check(count == 4, "a seed, how many rounds, a file of bodies");
    FILE *file = fopen(arguments[3], "rb");
    check(file != NULL, "no such file");
    for (; known < MOST && fread(&sizes[known], 4, 1, file) == 1; known++) {
        bodies[known] = malloc(sizes[known]);
        check(fread(bodies[known], 1, sizes[known], file) == sizes[known], "the file is cut short");
    }
    fclose(file);
    state = strtoull(arguments[1], NULL, 10) * 2654435761u + 88172645463325252u;
    for (long round = 0, rounds = atol(arguments[2]); round < rounds; round++) {
        if (round % 5000 == 0) start();
        size_t chosen = draw(known), size = sizes[chosen];
        uint8_t *roomy = malloc(size + GROWTH);
        memcpy(roomy, bodies[chosen], size);
        for (size_t changes = draw(5); changes > 0; changes--) size = change(roomy, size);
        uint8_t *body = malloc(size); /* of just its size, so that a byte beyond it is noticed */
        if (size > 0) memcpy(body, roomy, size);
        free(roomy);
        rendered += render(body, size);
        free(body);
    }
    while (known > 0) free(bodies[--known]);
    printf("%zu were rendered\n", rendered);
    return 0;
}
