/* Strict, since a server that is left out by a slip of the pen is noticed late: whatever is not
 * understood refuses the whole file. */
#include "discovery/list.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLD_MAX        20
#define WORDS_BYTES     256
#define WORD_BYTES      80
#define CONNECTIONS_MAX 10000000

struct reading {
    struct pool_member_spec preset;
    struct pool_member_spec *server;
    unsigned *line; /* of each server */
    size_t count, room;
    list_tell_fn *tell;
    void *to;
    unsigned told;
};

static void complain(struct reading *r, unsigned line, const char *words)
{
    if (r->told++ < TOLD_MAX)
        r->tell(r->to, line, words);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line; empty: there is none. */
static struct bytes next_word(struct bytes *rest)
{
    size_t from = 0, to;

    while (from < rest->len && is_blank(rest->at[from]))
        from++;
    to = from;
    while (to < rest->len && !is_blank(rest->at[to]))
        to++;
    struct bytes word = bytes_slice(*rest, from, to);
    *rest = bytes_from(*rest, to);
    return word;
}

/* Digits alone, from `least` to `most`. */
static bool read_number(struct bytes digits, uint32_t least, uint32_t most, uint32_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9' || number > most)
            return false;
        number = number * 10 + (uint64_t)(digits.at[i] - '0');
    }
    if (!digits.len || number < least || number > most)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool begins_with(struct bytes word, const char *key, struct bytes *ret_rest)
{
    struct bytes name = bytes_of(key);

    *ret_rest = bytes_from(word, name.len);
    return word.len >= name.len && bytes_equal(bytes_slice(word, 0, name.len), name);
}

static void read_option(struct reading *r, unsigned line, struct bytes word,
                        struct pool_member_spec *server)
{
    struct bytes value;
    char words[WORDS_BYTES];

    if (begins_with(word, "weight=", &value)) {
        if (!read_number(value, 1, BALANCER_WEIGHT_MAX, &server->weight))
            complain(r, line, "weight is a number from 1 to 256");
    } else if (begins_with(word, "max_connections=", &value)) {
        if (!read_number(value, 0, CONNECTIONS_MAX, &server->max_connections))
            complain(r, line, "max_connections is a number from 0 to 10000000");
    } else if (bytes_equal(word, bytes_of("backup"))) {
        server->is_backup = true;
    } else {
        snprintf(words, sizeof words, "\"%.*s\" is not known here",
                 (int)(word.len < WORD_BYTES ? word.len : WORD_BYTES), (const char *)word.at);
        complain(r, line, words);
    }
}

static int make_room(struct reading *r)
{
    size_t room = r->room ? 2 * r->room : 64;

    if (r->count < r->room)
        return 0;
    struct pool_member_spec *server = realloc(r->server, room * sizeof *server);
    r->server = server ? server : r->server;
    unsigned *line = server ? realloc(r->line, room * sizeof *line) : NULL;
    r->line = line ? line : r->line;
    r->room = line ? room : r->room;
    return line ? 0 : -ENOMEM;
}

static bool read_address(struct bytes word, struct address *ret_address)
{
    char text[WORD_BYTES];

    if (word.len >= sizeof text || memchr(word.at, 0, word.len))
        return false;
    memcpy(text, word.at, word.len);
    text[word.len] = '\0';
    return address_parse(text, ret_address) == 0;
}

static int read_line(struct reading *r, unsigned line, struct bytes rest)
{
    struct bytes word = next_word(&rest);
    struct pool_member_spec server = r->preset;
    char words[WORDS_BYTES];

    if (!word.len)
        return 0;
    if (!read_address(word, &server.address)) {
        snprintf(words, sizeof words,
                 "\"%.*s\" is no server address; write 127.0.0.1:9001 or [::1]:9001",
                 (int)(word.len < WORD_BYTES ? word.len : WORD_BYTES), (const char *)word.at);
        complain(r, line, words);
    }
    for (word = next_word(&rest); word.len; word = next_word(&rest))
        read_option(r, line, word, &server);
    int error = make_room(r);
    if (error)
        return error;
    r->server[r->count] = server;
    r->line[r->count++] = line;
    return 0;
}

static int read_lines(struct reading *r, struct bytes text)
{
    int error = 0;

    for (unsigned line = 1; text.len && !error; line++) {
        size_t end = bytes_find(text, bytes_of("\n"), 0);
        struct bytes one = bytes_slice(text, 0, end);
        error = read_line(r, line, bytes_slice(one, 0, bytes_find(one, bytes_of("#"), 0)));
        text = bytes_from(text, end + 1);
        if (!error && r->count > POOL_SERVERS_MAX) {
            complain(r, line, "that is more than 10000 servers");
            break;
        }
    }
    return error;
}

struct numbered {
    const struct address *address;
    unsigned line;
};

static int by_address(const void *a, const void *b)
{
    const struct numbered *one = a, *other = b;
    int order = memcmp(one->address, other->address, sizeof *one->address);

    return order ? order : (one->line > other->line) - (one->line < other->line);
}

/* Equal ones stand side by side once they are sorted. */
static int find_twins(struct reading *r)
{
    struct numbered *all = calloc(r->count + 1, sizeof *all);
    char words[WORDS_BYTES];

    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < r->count; i++)
        all[i] = (struct numbered){&r->server[i].address, r->line[i]};
    qsort(all, r->count, sizeof *all, by_address);
    for (size_t i = 1; i < r->count; i++) {
        if (!address_equal(all[i].address, all[i - 1].address))
            continue;
        snprintf(words, sizeof words, "the server of line %u again; give it a weight instead",
                 all[i - 1].line);
        complain(r, all[i].line, words);
    }
    free(all);
    return 0;
}

int list_parse(struct bytes text, const struct pool_member_spec *preset, list_tell_fn *tell,
               void *to, struct pool_member_spec **ret_servers, size_t *ret_count)
{
    struct reading r = {.preset = *preset, .tell = tell, .to = to};
    int error = 0;

    if (text.len > LIST_BYTES_MAX)
        complain(&r, 1, "the file is larger than 4 MiB");
    else
        error = read_lines(&r, text);
    if (!error && !r.told)
        error = find_twins(&r);
    if (!error && r.told)
        error = -EINVAL;
    free(r.line);
    if (error) {
        free(r.server);
        return error;
    }
    *ret_servers = r.server;
    *ret_count = r.count;
    return 0;
}
