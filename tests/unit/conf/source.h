/* Files and an environment made of strings, and errors as one text that can be compared. */
#pragma once

#include "conf/tree.h"

#include "test.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTEN  "listeners: [ { listen: 127.0.0.1:8080 } ]\n"
#define POOL    "pools: { chat: { servers: [ 127.0.0.1:9001 ] } }\n"
#define MINIMAL LISTEN POOL /* two lines; what a test adds begins in the third */

struct fake_file {
    const char *path, *text;
};

struct fake_source {
    struct conf_source source;
    const struct fake_file *files; /* end in { NULL } */
    unsigned reads;
};

static inline struct bytes fake_copy(const char *text)
{
    return (struct bytes){(const uint8_t *)strdup(text), strlen(text)};
}

static inline int fake_read(struct conf_source *source, const char *path, struct bytes *ret_text)
{
    struct fake_source *fake = (struct fake_source *)source;

    fake->reads++;
    for (const struct fake_file *file = fake->files; file && file->path; file++) {
        if (strcmp(file->path, path) != 0)
            continue;
        *ret_text = fake_copy(file->text);
        return 0;
    }
    return -ENOENT;
}

static inline int fake_expand(struct conf_source *source, const char *pattern, char ***ret_paths,
                              size_t *ret_count)
{
    struct fake_source *fake = (struct fake_source *)source;
    char **paths = calloc(16, sizeof *paths);
    size_t count = 0;

    EXPECT(paths);
    for (const struct fake_file *file = fake->files; file && file->path && count < 16; file++)
        if (fnmatch(pattern, file->path, FNM_PATHNAME) == 0)
            paths[count++] = strdup(file->path);
    *ret_paths = paths;
    *ret_count = count;
    return 0;
}

static inline const char *fake_environment(struct conf_source *source, const char *name)
{
    (void)source;
    return strcmp(name, "SECRET") == 0 ? "hunter2" : strcmp(name, "THREE") == 0 ? "3" : NULL;
}

/* Enough of what floors above judge: something with a colon, or a path. */
static inline bool fake_is_address(const char *text)
{
    return strchr(text, ':') != NULL;
}

static inline bool fake_is_store_url(const char *text, char ret_words[256])
{
    strcpy(ret_words, "no such scheme");
    return strncmp(text, "redis://", 8) == 0;
}

static inline bool fake_is_match(const char *host, const char *path, const char *prefix,
                                 char ret_words[256])
{
    const char *bad = host && strchr(host, ':') ? host : path && path[0] != '/' ? path : NULL;

    if (!bad && prefix && prefix[0] != '/')
        bad = prefix;
    if (bad)
        snprintf(ret_words, 256, "\"%s\" is wrong", bad);
    return !bad;
}

static const char *const fake_balancers[] = {"least_connections", "round_robin", "ip_hash",
                                             "bounded_hash", NULL};
static inline bool fake_is_key(const char *text)
{
    return strcmp(text, "client") == 0 || strchr(text, '.') != NULL;
}

/* Any line with "bad" in it is. */
static inline void fake_judge_servers(struct bytes text,
                                      void (*tell)(void *to, unsigned line, const char *words),
                                      void *to)
{
    const char *at = memmem(text.at, text.len, "bad", 3);
    unsigned line = 1;

    for (const char *c = (const char *)text.at; at && c < at; c++)
        line += *c == '\n';
    if (at)
        tell(to, line, "it is bad");
}

static const char *const fake_tiers[] = {"splice", "copy", NULL};

static inline struct fake_source fake_source_of(const struct fake_file *files)
{
    return (struct fake_source){
        .source = {.read = fake_read,
                   .expand = fake_expand,
                   .environment = fake_environment,
                   .balancers = fake_balancers,
                   .tiers = fake_tiers,
                   .is_address = fake_is_address,
                   .is_endpoint = fake_is_address,
                   .is_key = fake_is_key,
                   .judge_servers = fake_judge_servers,
                   .is_store_url = fake_is_store_url,
                   .is_match = fake_is_match},
        .files = files,
    };
}

/* --- errors as text
 * -------------------------------------------------------------------------------- */

struct told {
    char text[16384];
    size_t len;
};

static inline void tell(void *to, struct mark mark, const char *words, const char *hint)
{
    struct told *told = to;
    const char *file = mark.file ? mark.file : "-";
    int len = snprintf(told->text + told->len, sizeof told->text - told->len, "%s:%u:%u %s%s%s\n",
                       file, mark.line, mark.column, words, hint ? " | " : "", hint ? hint : "");

    told->len += (size_t)len;
    EXPECT(told->len < sizeof told->text);
}

/* Compares, and shows both where they differ. */
static inline void expect_text(const char *is, const char *wanted)
{
    EXPECT(is);
    if (strcmp(is, wanted) != 0)
        print_error("is:\n%s\nwanted:\n%s\n", is ? is : "", wanted ? wanted : "");
    EXPECT(strcmp(is, wanted) == 0);
}

/* "FILE:LINE:COLUMN words | hint" a line, of all that is wrong with the text. */
static inline void expect_errors_with(const struct fake_file *files, const char *text,
                                      const char *wanted)
{
    struct fake_source fake = fake_source_of(files);
    struct report *report = report_new();
    struct told told = {0};
    struct settings *settings = settings_parse(&fake.source, "f", bytes_of(text), report);

    report_each(report, tell, &told);
    expect_text(told.text, wanted);
    EXPECT(!settings == (wanted[0] != '\0'));
    settings_free(settings);
    report_free(report);
}

static inline void expect_errors(const char *text, const char *wanted)
{
    expect_errors_with(NULL, text, wanted);
}

static inline struct settings *settings_of(const char *text)
{
    struct fake_source fake = fake_source_of(NULL);
    struct report *report = report_new();
    struct told told = {0};
    struct settings *settings = settings_parse(&fake.source, "f", bytes_of(text), report);

    report_each(report, tell, &told);
    expect_text(told.text, "");
    EXPECT(settings);
    report_free(report);
    return settings;
}
