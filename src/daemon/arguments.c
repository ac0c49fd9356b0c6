/* A text rather than settings, so that `proxy` takes the same way as `run`, with the same checks
 * and the same words. Whatever the arguments hold stays inside its quotes. */
#include "daemon/arguments.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define YAML_MAX_BYTES 4194304u

/* A text that did not fit is missing at the end, and `failed` tells. */
struct yaml {
    struct buf text;
    bool has_failed;
};

static void put(struct yaml *yaml, const char *text)
{
    if (buf_append(&yaml->text, bytes_of(text)))
        yaml->has_failed = true;
}

/* In double quotes (YAML 1.2 section 5.7). What is no UTF-8 stays, and is refused by the reader. */
static void put_quoted(struct yaml *yaml, const char *text)
{
    char escaped[8];

    put(yaml, "\"");
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c < 0x20 || c == 0x7f)
            snprintf(escaped, sizeof escaped, "\\x%02x", c);
        else
            snprintf(escaped, sizeof escaped, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
        put(yaml, escaped);
    }
    put(yaml, "\"");
}

/* A list of one line each, so that an error shows the argument alone. */
static void put_list(struct yaml *yaml, const char *before, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(yaml, before);
        put_quoted(yaml, texts[i]);
        put(yaml, "\n");
    }
}

char *arguments_to_yaml(const struct options *options)
{
    struct yaml yaml = {0};
    char number[32];

    buf_init(&yaml.text, YAML_MAX_BYTES);
    snprintf(number, sizeof number, "workers: %llu\n", (unsigned long long)options->workers);
    put(&yaml, number);
    if (options->admin_is_given) {
        put(&yaml, "admin:\n  listen: ");
        put_quoted(&yaml, options->admin);
        put(&yaml, "\n");
    }
    put(&yaml, "listeners:\n");
    put_list(&yaml, "  - listen: ", options->listen, options->listen_count);
    put(&yaml, "pools:\n  servers:\n");
    if (options->balance) {
        put(&yaml, "    balance: ");
        put_quoted(&yaml, options->balance);
        put(&yaml, "\n");
    }
    put(&yaml, "    servers:\n");
    put_list(&yaml, "      - ", options->to, options->to_count);

    struct bytes text = buf_bytes(&yaml.text);
    char *copy = yaml.has_failed ? NULL : strndup((const char *)text.at, text.len);
    buf_done(&yaml.text);
    return copy;
}
