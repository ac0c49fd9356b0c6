#include "codec/http1_body.c"

#include "rows.h"

#define IS_WRONG (-1) /* in a column of kinds */

typedef int head_parse_fn(struct bytes in, unsigned fields_max, struct http1_head *ret_head,
                          enum reason *ret_why);

struct framing_row {
    const char *name, *fields;
    int kind;
    uint64_t left;
};

/* As a request in HTTP/1.1; an answer with 200 differs where no field says anything. */
static const struct framing_row framings[] = {
    {"a length", "Content-Length: 5\r\n", BODY_LENGTH, 5},
    {"a length of 0", "Content-Length: 0\r\n", BODY_NONE, 0},
    {"a length with zeros before it", "Content-Length: 005\r\n", BODY_LENGTH, 5},
    {"blanks around a length", "Content-Length: \t 5 \t\r\n", BODY_LENGTH, 5},
    {"the longest length", "Content-Length: 999999999999999999\r\n", BODY_LENGTH,
     999999999999999999},
    {"chunked", "Transfer-Encoding: chunked\r\n", BODY_CHUNKED, 0},
    {"Chunked in any case", "tRANSFER-eNCODING: CHUNKED\r\n", BODY_CHUNKED, 0},
    {"length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", IS_WRONG, 0},
    {"chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", IS_WRONG, 0},
    {"a length of 0 and chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", IS_WRONG,
     0},
    {"two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", IS_WRONG, 0},
    {"two lengths alike", "Content-Length: 5\r\ncontent-length: 5\r\n", IS_WRONG, 0},
    {"a list of lengths", "Content-Length: 5, 5\r\n", IS_WRONG, 0},
    {"an empty length", "Content-Length:\r\n", IS_WRONG, 0},
    {"a negative length", "Content-Length: -5\r\n", IS_WRONG, 0},
    {"a length with a plus", "Content-Length: +5\r\n", IS_WRONG, 0},
    {"a hexadecimal length", "Content-Length: 0x5\r\n", IS_WRONG, 0},
    {"a length with a blank inside", "Content-Length: 1 0\r\n", IS_WRONG, 0},
    {"a length with a fraction", "Content-Length: 5.0\r\n", IS_WRONG, 0},
    {"a length in quotes", "Content-Length: \"5\"\r\n", IS_WRONG, 0},
    {"a length with an underscore", "Content-Length: 1_0\r\n", IS_WRONG, 0},
    {"a length beyond 2^64", "Content-Length: 18446744073709551621\r\n", IS_WRONG, 0},
    {"a length of 19 digits", "Content-Length: 1000000000000000000\r\n", IS_WRONG, 0},
    {"identity", "Transfer-Encoding: identity\r\n", IS_WRONG, 0},
    {"gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n", IS_WRONG, 0},
    {"chunked, identity", "Transfer-Encoding: chunked, identity\r\n", IS_WRONG, 0},
    {"chunked twice in a list", "Transfer-Encoding: chunked, chunked\r\n", IS_WRONG, 0},
    {"chunked on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
     IS_WRONG, 0},
    {"chunked and a comma", "Transfer-Encoding: chunked,\r\n", IS_WRONG, 0},
    {"chunked with a parameter", "Transfer-Encoding: chunked;q=1\r\n", IS_WRONG, 0},
    {"xchunked", "Transfer-Encoding: xchunked\r\n", IS_WRONG, 0},
    {"chunked in quotes", "Transfer-Encoding: \"chunked\"\r\n", IS_WRONG, 0},
    {"an empty coding", "Transfer-Encoding:\r\n", IS_WRONG, 0},
    {"a length that a variable could be named after", "Content_Length: 5\r\n", IS_WRONG, 0},
    {"both spellings of a length", "Content-Length: 5\r\nCONTENT_length: 5\r\n", IS_WRONG, 0},
    {"a coding with an underscore", "Transfer_Encoding: chunked\r\n", IS_WRONG, 0},
    {"other names with underscores", "Content_Lengt: 5\r\nContent-Length: 5\r\n", BODY_LENGTH, 5},
};

/* A head with the text it points into. */
struct message {
    char text[256];
    struct http1_head head;
};

static const struct http1_head *parse_message(struct message *m, const char *first,
                                              const char *fields, head_parse_fn *parse)
{
    enum reason why;
    int len = snprintf(m->text, sizeof m->text, "%s\r\n%s\r\n", first, fields);

    EXPECT(parse((struct bytes){(const uint8_t *)m->text, (size_t)len}, 9, &m->head, &why) == len);
    return &m->head;
}

TEST(what_frames_a_request)
{
    for (size_t i = 0; i < ARRAY_LEN(framings); i++) {
        const struct framing_row *row = &framings[i];
        struct message m;
        const struct http1_head *head =
            parse_message(&m, "POST / HTTP/1.1", row->fields, http1_request_parse);
        struct http1_body body;
        enum reason why = http1_request_body(head, &body);
        EXPECT_ROW(row->name, why == (row->kind < 0 ? REASON_FRAMING_AMBIGUOUS : REASON_DONE));
        EXPECT_ROW(row->name,
                   row->kind < 0 || ((int)body.kind == row->kind && body.left == row->left));
    }
}

TEST(what_frames_an_answer)
{
    for (size_t i = 0; i < ARRAY_LEN(framings); i++) {
        const struct framing_row *row = &framings[i];
        struct message m;
        const struct http1_head *head =
            parse_message(&m, "HTTP/1.1 200 OK", row->fields, http1_response_parse);
        struct http1_body body;
        enum reason why = http1_response_body(head, bytes_of("GET"), &body);
        EXPECT_ROW(row->name, why == (row->kind < 0 ? REASON_ANSWER_MALFORMED : REASON_DONE));
        EXPECT_ROW(row->name,
                   row->kind < 0 || ((int)body.kind == row->kind && body.left == row->left));
    }
}

TEST(who_has_no_body_has_none_whatever_is_said)
{
    static const struct {
        const char *name, *first, *method, *fields;
        int kind;
    } rows[] = {
        {"no field: to the end", "HTTP/1.1 200 OK", "GET", "", BODY_UNTIL_CLOSE},
        {"HEAD with a length", "HTTP/1.1 200 OK", "HEAD", "Content-Length: 5\r\n", BODY_NONE},
        {"HEAD chunked", "HTTP/1.1 200 OK", "HEAD", "Transfer-Encoding: chunked\r\n", BODY_NONE},
        {"HEAD without a field", "HTTP/1.1 200 OK", "HEAD", "", BODY_NONE},
        {"methods are cased", "HTTP/1.1 200 OK", "head", "", BODY_UNTIL_CLOSE},
        {"HEAD ambiguously", "HTTP/1.1 200 OK", "HEAD", "Content-Length: 1, 1\r\n", IS_WRONG},
        {"204", "HTTP/1.1 204 OK", "GET", "Content-Length: 5\r\n", BODY_NONE},
        {"304", "HTTP/1.1 304 OK", "GET", "Content-Length: 5\r\n", BODY_NONE},
        {"103", "HTTP/1.1 103 OK", "GET", "", BODY_NONE},
        {"205 is as any", "HTTP/1.1 205 OK", "GET", "Content-Length: 5\r\n", BODY_LENGTH},
        {"HTTP/1.0 with a length", "HTTP/1.0 200 OK", "GET", "Content-Length: 5\r\n", BODY_LENGTH},
        {"HTTP/1.0 chunked", "HTTP/1.0 200 OK", "GET", "Transfer-Encoding: chunked\r\n", IS_WRONG},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct message m;
        const struct http1_head *head =
            parse_message(&m, rows[i].first, rows[i].fields, http1_response_parse);
        struct http1_body body;
        enum reason why = http1_response_body(head, bytes_of(rows[i].method), &body);
        EXPECT_ROW(rows[i].name, (why == REASON_DONE) == (rows[i].kind >= 0));
        EXPECT_ROW(rows[i].name, rows[i].kind < 0 || (int)body.kind == rows[i].kind);
    }
}

TEST(a_request_without_a_field_has_no_body_and_1_0_no_chunks)
{
    struct message first, second;
    const struct http1_head *plain =
        parse_message(&first, "POST / HTTP/1.1", "", http1_request_parse);
    const struct http1_head *old = parse_message(
        &second, "POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n", http1_request_parse);
    struct http1_body body;

    EXPECT(http1_request_body(plain, &body) == REASON_DONE && body.kind == BODY_NONE);
    EXPECT(http1_body_has_ended(&body) && http1_body_feed(&body, bytes_of("x")) == 0);
    EXPECT(http1_request_body(old, &body) == REASON_FRAMING_AMBIGUOUS);
}

/* --- chunks ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct bytes text;
    const char *payload;
} good_chunks[] = {
    {"nothing", TEXT("0\r\n\r\n"), ""},
    {"one chunk", TEXT("5\r\nhello\r\n0\r\n\r\n"), "hello"},
    {"two chunks", TEXT("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), "abc"},
    {"sizes in both cases", TEXT("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
     "01234567890123456789"},
    {"zeros before a size", TEXT("0005\r\nhello\r\n000\r\n\r\n"), "hello"},
    {"payload like framing", TEXT("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), "\r\n0\r\n\r\n"},
    {"an extension", TEXT("1;a=b\r\nx\r\n0;c=\"d;\t\"\r\n\r\n"), "x"},
    {"several extensions", TEXT("1;a;b=c;d=\"\";e\r\nx\r\n0\r\n\r\n"), "x"},
    {"escaped quotes in an extension", TEXT("1;a=\"\\\"\\\\\"\r\nx\r\n0\r\n\r\n"), "x"},
    {"trailers", TEXT("1\r\nx\r\n0\r\nA: b\r\nDigest:\r\n\r\n"), "x"},
    {"a trailer with a long name", TEXT("0\r\nContent-Length-Of-Something-Else: 1\r\n\r\n"), ""},
    {"a trailer with a longer name", TEXT("0\r\nTransfer-Encodings: 1\r\n\r\n"), ""},
};

static const struct {
    const char *name;
    struct bytes text; /* ends with the byte that is wrong */
} bad_chunks[] = {
    {"no size", TEXT("\r")},
    {"no digit", TEXT("g")},
    {"a space before the size", TEXT(" ")},
    {"a sign", TEXT("-")},
    {"a plus", TEXT("+")},
    {"0x", TEXT("0x")},
    {"a space behind the size", TEXT("5 ")},
    {"a tab behind the size", TEXT("5\t")},
    {"an extension without a size", TEXT(";")},
    {"16 digits", TEXT("0000000000000005")},
    {"a size beyond 2^64", TEXT("fffffffffffffff5")},
    {"LF for CRLF", TEXT("5\n")},
    {"CR without LF", TEXT("5\rh")},
    {"CR CR", TEXT("5\r\r")},
    {"NUL in an extension", TEXT("5;\0")},
    {"an extension without a name", TEXT("5;\r")},
    {"two semicolons", TEXT("5;;")},
    {"an extension without a name but a value", TEXT("5;=")},
    {"a space behind the semicolon", TEXT("5; ")},
    {"a space in an extension", TEXT("5;a ")},
    {"an extension without a value", TEXT("5;a=\r")},
    {"a space before a value", TEXT("5;a= ")},
    {"two values", TEXT("5;a=b=")},
    {"no last quote", TEXT("5;a=\"b\r")},
    {"a line end behind a backslash", TEXT("5;a=\"\\\r")},
    {"more behind the last quote", TEXT("5;a=\"b\"c")},
    {"a name that is no token", TEXT("5;a/")},
    {"a name that is not ASCII", TEXT("5;\xc3")},
    {"a bare LF in an extension", TEXT("5;a\n")},
    {"a bare CR in an extension", TEXT("5;a\rb")},
    {"a control character in an extension", TEXT("5;\x7f")},
    {"a chunk longer than its size", TEXT("1\r\nxy")},
    {"a chunk without CR", TEXT("1\r\nx\n")},
    {"a chunk without LF", TEXT("1\r\nx\rx")},
    {"an empty line between chunks", TEXT("1\r\nx\r\n\r")},
    {"a bare LF for the last line", TEXT("0\r\n\n")},
    {"CR without LF at the end", TEXT("0\r\n\rx")},
    {"a trailer without a name", TEXT("0\r\n:")},
    {"a trailer without a colon", TEXT("0\r\nA\r")},
    {"a folded trailer", TEXT("0\r\nA: b\r\n ")},
    {"a space before a trailer's colon", TEXT("0\r\nA ")},
    {"NUL in a trailer's name", TEXT("0\r\nA\0")},
    {"NUL in a trailer", TEXT("0\r\nA: \0")},
    {"a bare LF ends a trailer", TEXT("0\r\nA: b\n")},
    {"a bare CR in a trailer", TEXT("0\r\nA: b\rc")},
    {"Content-Length in a trailer", TEXT("0\r\nContent-Length:")},
    {"Transfer-Encoding in a trailer", TEXT("0\r\nA: b\r\ntransfer-encoding:")},
    {"Host in a trailer", TEXT("0\r\nhOST:")},
    {"Connection in a trailer", TEXT("0\r\nConnection:")},
    {"Upgrade in a trailer", TEXT("0\r\nA:\r\nUpgrade:")},
    {"TE in a trailer", TEXT("0\r\nte:")},
    {"Content_Length in a trailer", TEXT("0\r\nContent_Length:")},
};

/* Feeds pieces up to `cut` and behind it. Bytes used, or -1 when any piece was refused. */
static ssize_t feed_cut(struct http1_body *body, struct bytes text, size_t cut)
{
    struct bytes first = exact(text, cut);
    struct bytes second = exact(bytes_from(text, cut), text.len - cut);

    ssize_t used = http1_body_feed(body, first);
    ssize_t more = used < 0 ? -1 : http1_body_feed(body, second);
    EXPECT(used < 0 || (size_t)used == cut || (http1_body_has_ended(body) && more == 0));
    exact_free(first);
    exact_free(second);
    return used < 0 || more < 0 ? -1 : used + more;
}

TEST(chunks_end_where_they_end_however_they_are_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(good_chunks); i++) {
        char text[128];
        struct bytes next = bytes_of("GET /next");
        size_t len = good_chunks[i].text.len;
        memcpy(text, good_chunks[i].text.at, len);
        memcpy(text + len, next.at, next.len);
        struct bytes all = {(const uint8_t *)text, len + 9};
        for (size_t cut = 0; cut <= all.len; cut++) {
            struct http1_body body = {.kind = BODY_CHUNKED};
            EXPECT_ROW(good_chunks[i].name, feed_cut(&body, all, cut) == (ssize_t)len);
            EXPECT_ROW(good_chunks[i].name, http1_body_has_ended(&body));
        }
    }
}

/* The payload of `text`, which is a whole body, taken three bytes at a time. */
static size_t take_payload(struct bytes text, char *memory)
{
    struct http1_body body = {.kind = BODY_CHUNKED};
    struct bytes payload;
    size_t len = 0;

    for (ssize_t used; text.len; text = bytes_from(text, (size_t)used)) {
        EXPECT(!http1_body_has_ended(&body));
        used = http1_body_piece(&body, bytes_slice(text, 0, 3), &payload);
        EXPECT(used > 0 && (payload.len == 0 || payload.len == (size_t)used));
        for (size_t i = 0; i < payload.len; i++)
            memory[len++] = (char)payload.at[i];
    }
    EXPECT(http1_body_has_ended(&body));
    return len;
}

TEST(pieces_give_the_payload_without_its_framing)
{
    for (size_t i = 0; i < ARRAY_LEN(good_chunks); i++) {
        char got[64];
        size_t len = take_payload(good_chunks[i].text, got);
        EXPECT_ROW(good_chunks[i].name,
                   says((struct bytes){(uint8_t *)got, len}, good_chunks[i].payload));
    }
}

TEST(bad_chunks_are_refused_at_the_first_bad_byte)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_chunks); i++) {
        struct bytes text = bad_chunks[i].text;
        struct http1_body body = {.kind = BODY_CHUNKED};
        EXPECT_ROW(bad_chunks[i].name, http1_body_feed(&body, bytes_slice(text, 0, text.len - 1)) ==
                                           (ssize_t)text.len - 1);
        EXPECT_ROW(bad_chunks[i].name,
                   http1_body_feed(&body, bytes_from(text, text.len - 1)) == -1);
        for (size_t cut = 0; cut < text.len; cut++) {
            body = (struct http1_body){.kind = BODY_CHUNKED};
            EXPECT_ROW(bad_chunks[i].name, feed_cut(&body, text, cut) == -1);
        }
    }
}

/* What is left behind the body's end, or -1. */
static ssize_t feed_repeated(const char *before, char c, size_t count, const char *after)
{
    static char text[100000];
    struct http1_body body = {.kind = BODY_CHUNKED};
    int begin = snprintf(text, sizeof text, "%s", before);

    memset(text + begin, c, count);
    snprintf(text + begin + count, sizeof text - (size_t)begin - count, "%s", after);
    ssize_t used = http1_body_feed(&body, bytes_of(text));
    return used < 0 ? -1 : (ssize_t)strlen(text) - used;
}

TEST(extensions_and_trailers_are_bounded)
{
    EXPECT(feed_repeated("0;", 'x', 255, "\r\n\r\n") == 0);
    EXPECT(feed_repeated("0;", 'x', 256, "\r\n\r\n") == -1); /* its CR counts */
    EXPECT(feed_repeated("0\r\nA:", 'x', 8192 - 6, "\r\n\r\n") ==
           0); /* with "A:" and two line ends: 8192 */
    EXPECT(feed_repeated("0\r\nA:", 'x', 8192 - 5, "\r\n\r\n") == -1);
    EXPECT(feed_repeated("0\r\nA:", 'x', 70000, "\r\n\r\n") == -1);
}

TEST(the_largest_chunk_is_counted_down)
{
    struct http1_body body = {.kind = BODY_CHUNKED};

    EXPECT(http1_body_feed(&body, bytes_of("fffffffffffffff\r\nxyz")) == 20);
    EXPECT(body.left == 0xfffffffffffffff - 3 && !http1_body_has_ended(&body));
}

TEST(a_length_is_counted_down)
{
    struct http1_body body = {.kind = BODY_LENGTH, .left = 5};
    struct bytes payload;

    EXPECT(http1_body_feed(&body, (struct bytes){0}) == 0 && !http1_body_has_ended(&body));
    EXPECT(http1_body_feed(&body, bytes_of("abc")) == 3 && !http1_body_has_ended(&body));
    EXPECT(http1_body_piece(&body, bytes_of("deGET"), &payload) == 2 && says(payload, "de"));
    EXPECT(http1_body_has_ended(&body) && http1_body_feed(&body, bytes_of("GET")) == 0);
}

TEST(until_close_takes_everything)
{
    struct http1_body body = {.kind = BODY_UNTIL_CLOSE};

    EXPECT(http1_body_feed(&body, bytes_of("abc")) == 3 && !http1_body_has_ended(&body));
}
