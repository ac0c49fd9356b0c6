#include "base/log.c"

#include "test.h"

#include <stdlib.h>

/* A log that keeps its last line. */
struct kept {
    struct log log;
    char line[LINE_BYTES + 1];
    size_t count;
};

static void keep(struct log *log, struct bytes line)
{
    struct kept *kept = (struct kept *)log;

    EXPECT(line.len <= LINE_BYTES);
    memcpy(kept->line, line.at, line.len);
    kept->line[line.len] = '\0';
    kept->count++;
}

static uint64_t at_eight(struct log *log)
{
    (void)log;
    return 1795593600123456u; /* 2026-11-25T08:00:00.123456Z */
}

static struct kept kept_new(enum log_format format)
{
    return (struct kept){.log = {keep, at_eight, LEVEL_INFO, format}};
}

TEST(a_line_of_json_has_the_fields_in_their_order)
{
    struct kept kept = kept_new(FORMAT_JSON);
    struct log_fields fields = log_fields_none();

    fields.words = bytes_of("say \"hi\"\n");
    fields.client = bytes_of("1.2.3.4:5");
    fields.connection = 4711;
    fields.status = 0;
    log_event(&kept.log, EVENT_open, &fields);
    EXPECT(strcmp(kept.line,
                  "{\"time\":\"2026-11-25T08:00:00.123456Z\",\"event\":\"open\",\"level\":\"info\","
                  "\"connection\":4711,\"client\":\"1.2.3.4:5\",\"status\":0,"
                  "\"words\":\"say \\\"hi\\\"\\u000a\"}\n") == 0);
}

TEST(a_line_of_text_quotes_only_what_needs_it)
{
    struct kept kept = kept_new(FORMAT_TEXT);
    struct log_fields fields = log_fields_none();

    fields.words = bytes_of("two words");
    fields.client = bytes_of("1.2.3.4:5");
    fields.host = bytes_of("");
    fields.connection = 4711;
    log_event(&kept.log, EVENT_open, &fields);
    EXPECT(strcmp(kept.line,
                  "2026-11-25T08:00:00.123456Z open connection=4711 client=1.2.3.4:5 host=\"\" "
                  "words=\"two words\"\n") == 0);
}

static void expect_escaped(struct bytes text, const char *wanted)
{
    struct line line = {.format = FORMAT_JSON};

    put_string(&line, text, TEXT_MAX);
    EXPECT(bytes_equal((struct bytes){(uint8_t *)line.at, line.len}, bytes_of(wanted)));
}

TEST(what_is_no_text_is_escaped)
{
    expect_escaped(bytes_of("grün €"), "\"grün €\"");
    expect_escaped(bytes_of("\xf0\x9f\x9a\x82"), "\"\xf0\x9f\x9a\x82\"");
    expect_escaped(BYTES('a', 0, 0x1b, 0x7f), "\"a\\u0000\\u001b\\u007f\"");
    expect_escaped(BYTES('\\', '"'), "\"\\\\\\\"\"");
    expect_escaped(BYTES(0xc2, 0x9b, 'm'), "\"\\u009bm\"");        /* C1: CSI */
    expect_escaped(BYTES(0xff, 'a', 0xc3), "\"\\ufffda\\ufffd\""); /* no lead byte; a cut one */
    expect_escaped(BYTES(0xc0, 0xaf), "\"\\ufffd\\ufffd\"");       /* overlong */
    expect_escaped(BYTES(0xed, 0xa0, 0x80), "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
    expect_escaped(BYTES(0xf4, 0x90, 0x80, 0x80),
                   "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* beyond U+10FFFF */
}

/* Is it one JSON object of texts and numbers? Small, and knows nothing of the writer. */
static bool is_whole_json(const char *at)
{
    if (*at++ != '{')
        return false;
    for (;;) {
        for (int name = 1; name >= 0; name--) { /* name, then value */
            if (!name && *at >= '0' && *at <= '9') {
                at += strspn(at, "0123456789");
                break;
            }
            if (*at++ != '"')
                return false;
            for (; *at && *at != '"'; at++)
                if ((uint8_t)*at < 0x20 || (*at == '\\' && !*++at))
                    return false;
            if (*at++ != '"' || (name && *at++ != ':'))
                return false;
        }
        if (*at == '}')
            return strcmp(at, "}\n") == 0;
        if (*at++ != ',')
            return false;
    }
}

TEST(a_line_is_whole_whatever_peers_send)
{
    static const uint8_t fills[] = {'a', '"', '\\', 0, 0xff, 0x1b, 0xc3};
    uint8_t junk[8192];

    for (size_t i = 0; i < ARRAY_LEN(fills); i++)
        for (size_t len = 0; len <= sizeof junk; len = len * 3 / 2 + 1) {
            struct kept kept = kept_new(FORMAT_JSON);
            struct log_fields fields;
            memset(junk, fills[i], sizeof junk);
#define NUMBER(name) fields.name = UINT64_MAX - 1;
#define TEXT(name)   fields.name = (struct bytes){junk, len};
            LOG_FIELDS(NUMBER, TEXT)
#undef NUMBER
#undef TEXT
            log_event(&kept.log, EVENT_close, &fields);
            EXPECT(kept.count == 1);
            EXPECT(is_whole_json(kept.line));
            EXPECT(strstr(kept.line, "\"close_code_server\":18446744073709551614"));
        }
}

TEST(long_text_is_cut_and_says_so)
{
    struct kept kept = kept_new(FORMAT_JSON);
    struct log_fields fields = log_fields_none();
    char path[4000];

    memset(path, 'p', sizeof path);
    fields.path = (struct bytes){(uint8_t *)path, sizeof path};
    log_event(&kept.log, EVENT_open, &fields);
    EXPECT(strstr(kept.line, "ppp…\"}"));
    EXPECT(strlen(kept.line) < 700);

    log_say(&kept.log, EVENT_notice, "%.*s", (int)sizeof path, path);
    EXPECT(is_whole_json(kept.line));
    EXPECT(strlen(kept.line) > 1000);
}

TEST(what_is_below_the_level_is_not_written)
{
    struct kept kept = kept_new(FORMAT_JSON);

    log_say(&kept.log, EVENT_debug, "no");
    EXPECT(kept.count == 0);
    log_set(&kept.log, LEVEL_DEBUG, FORMAT_TEXT);
    log_say(&kept.log, EVENT_debug, "yes");
    EXPECT(strcmp(kept.line, "2026-11-25T08:00:00.123456Z debug words=yes\n") == 0);
    log_set(&kept.log, LEVEL_ERROR, FORMAT_TEXT);
    EXPECT(!log_wants(&kept.log, EVENT_notice) && log_wants(&kept.log, EVENT_reload_failed));
}

TEST(dates_follow_the_calendar)
{
    char text[LOG_TIME_BYTES];

    log_time_write(0, text);
    EXPECT(strcmp(text, "1970-01-01T00:00:00.000000Z") == 0);
    log_time_write(951782399999999u, text);
    EXPECT(strcmp(text, "2000-02-28T23:59:59.999999Z") == 0);
    log_time_write(951782400000000u, text);
    EXPECT(strcmp(text, "2000-02-29T00:00:00.000000Z") == 0);
    log_time_write(4107542400000000u, text); /* 2100 is no leap year */
    EXPECT(strcmp(text, "2100-03-01T00:00:00.000000Z") == 0);
}
