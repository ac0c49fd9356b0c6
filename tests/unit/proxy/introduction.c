#include "proxy/introduction.c"

#include "fake_sys.h"
#include "test.h"

#include <errno.h>

#define FD 4

/* A flow with a connection in it that does nothing but hear who its client is. */
struct hearer {
    struct connection c;
};
#define HEARER_STEPS(STEP)                                                                         \
    STEP(hear)                                                                                     \
    STEP(rest)
FLOW_IN(hearer, HEARER_STEPS, c.flow, NULL, FLOW_NO_LAST_STEP)

static unsigned left_for; /* the reason; nothing: it lives */

static enum next hear(struct hearer *h)
{
    return introduction_hear(&h->c);
}

static enum next rest(struct hearer *h)
{
    return flow_wait_notice(&h->c.flow, WITHIN(FOREVER, REASON_DONE));
}

static void hearer_leave(struct hearer *h)
{
    left_for = h->c.flow.reason;
    introduction_free(h->c.introduction);
    stream_close(&h->c.client);
}

static void write_nowhere(struct log *log, struct bytes line)
{
    (void)log, (void)line;
}

static struct worker worker;
static struct listener_settings listener;
static struct gate_spec gate = {.settings = &listener};
static struct snapshot snapshot = {.gates = &gate};
static struct hearer *hearer;

static void turn(void)
{
    EXPECT(loop_look(&worker.runner.loop) == 0);
    loop_run(&worker.runner.loop);
}

static void set_up(enum proxy_in wanted, const char *peer)
{
    static struct log log = {.write = write_nowhere};
    static const char *const trusted[] = {"10.0.0.0/8"};

    fake_reset();
    left_for = REASON_COUNT;
    EXPECT(worker_init(&worker, 1, &log) == 0);
    EXPECT(cidr_set_init(&snapshot.trusted, trusted, 1, NULL) == 0);
    snapshot.deadlines.request_head = 1000000;
    listener.proxy_in = wanted;
    hearer = calloc(1, sizeof *hearer);
    EXPECT(hearer != NULL);
    hearer->c.snapshot = &snapshot;
    hearer->c.request_id = 0x1234;
    EXPECT(address_parse(peer, &hearer->c.peer) == 0);
    flow_start(&hearer->c.flow, &hearer_kind, &worker.runner, NULL);
    EXPECT(stream_open(&hearer->c.client, &worker.runner.loop, FD) == 0);
    flow_adopt(&hearer->c.flow, &hearer->c.client.source, REASON_CLIENT_LEFT);
    turn();
}

static void tear_down(void)
{
    if (left_for == REASON_COUNT)
        flow_stop(&hearer->c.flow, REASON_STOPPING);
    turn();
    worker_done(&worker);
    cidr_set_done(&snapshot.trusted);
}

static bool is_heard(void)
{
    return left_for == REASON_COUNT && hearer->c.flow.step == STEP_rest;
}

static bool client_is(const char *text)
{
    char written[ADDRESS_TEXT_BYTES];

    return strcmp(address_write(&hearer->c.peer, written), text) == 0 &&
           strcmp(address_write(connection_from(&hearer->c), written), text) == 0;
}

/* What the server would be told. */
static struct proxy_header told(enum proxy_out version, const char *server_name)
{
    static uint8_t out[PROXY_OUT_MAX_BYTES];
    struct proxy_header header = {0};
    enum reason why;
    size_t len = introduction_write(&hearer->c, version, bytes_of(server_name), out);

    EXPECT(proxy_header_parse((struct bytes){out, len}, &header, &why) == (int)len);
    return header;
}

static bool says(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of(text));
}

TEST(who_is_not_asked_is_who_he_is)
{
    set_up(PROXY_IN_NO, "10.0.0.1:5");
    EXPECT(is_heard() && client_is("10.0.0.1:5") && !hearer->c.introduction);
    tear_down();
    set_up(PROXY_IN_OPTIONAL, "11.0.0.1:5");
    EXPECT(is_heard() && client_is("11.0.0.1:5") && !hearer->c.introduction);
    tear_down();
}

TEST(a_stranger_is_sent_away_before_a_byte_is_read)
{
    set_up(PROXY_IN_REQUIRED, "11.0.0.1:5");
    EXPECT(left_for == REASON_PROXY_UNTRUSTED && introduction_failed(left_for));
    tear_down();
}

TEST(the_header_names_the_client_and_what_it_had_connected_to)
{
    set_up(PROXY_IN_REQUIRED, "10.0.0.1:5");
    EXPECT(!is_heard());
    fake_input(FD, "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n");
    turn();
    EXPECT(is_heard() && client_is("[2001:db8::7]:4711") && hearer->c.port == 443);
    EXPECT(address_port(&hearer->c.introduction->through) == 5);
    struct proxy_header header = told(PROXY_OUT_V1, "");
    EXPECT(header.version == 1 && header.source_port == 4711 && header.destination_port == 443);
    tear_down();
}

TEST(unknown_is_nobody_else)
{
    set_up(PROXY_IN_REQUIRED, "10.0.0.1:5");
    fake_input(FD, "PROXY UNKNOWN\r\n");
    turn();
    EXPECT(is_heard() && client_is("10.0.0.1:5") && hearer->c.introduction);
    tear_down();
}

TEST(an_optional_header_may_be_absent)
{
    set_up(PROXY_IN_OPTIONAL, "10.0.0.1:5");
    fake_input(FD, "GET / HTTP/1.1\r\n");
    turn();
    EXPECT(is_heard() && client_is("10.0.0.1:5") && !hearer->c.introduction);
    tear_down();
}

TEST(what_is_no_header_ends_it)
{
    set_up(PROXY_IN_REQUIRED, "10.0.0.1:5");
    fake_input(FD, "GET / HTTP/1.1\r\n");
    turn();
    EXPECT(left_for == REASON_PROXY_MISSING && introduction_failed(left_for));
    tear_down();
    set_up(PROXY_IN_REQUIRED, "10.0.0.1:5");
    fake_now_usec += 1100000;
    turn();
    turn();
    EXPECT(left_for == REASON_PROXY_TOO_SLOW && introduction_failed(left_for));
    tear_down();
    EXPECT(!introduction_failed(REASON_CLIENT_SILENT));
}

TEST(a_client_that_stands_before_us_is_introduced_by_its_own_ends)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(8080)};

    set_up(PROXY_IN_NO, "192.0.2.7:99");
    fake_calls.local = &local;
    local.sin_addr.s_addr = htonl(0xc0000201);
    struct proxy_header header = told(PROXY_OUT_V2, "chat.example.com");
    char text[IP_TEXT_BYTES];
    EXPECT(header.version == 2 && header.has_addresses && !header.has_checksum);
    EXPECT(strcmp(ip_write(&header.source, text), "192.0.2.7") == 0 && header.source_port == 99);
    EXPECT(strcmp(ip_write(&header.destination, text), "192.0.2.1") == 0);
    EXPECT(header.destination_port == 8080);
    EXPECT(says(header.authority, "chat.example.com") &&
           says(header.unique_id, "0000000000001234"));
    EXPECT(!header.ssl.len && !introduction_is_tls(&hearer->c));
    EXPECT(told(PROXY_OUT_V2_CRC32C, "").has_checksum);
    fake_calls.local = NULL; /* the kernel does not say: unknown, and served */
    EXPECT(!told(PROXY_OUT_V2, "").has_addresses);
    tear_down();
}

TEST(a_client_without_an_address_is_unknown)
{
    set_up(PROXY_IN_NO, "192.0.2.7:99");
    hearer->c.peer = (struct address){.any.sa_family = AF_UNIX};
    EXPECT(!told(PROXY_OUT_V1, "").has_addresses && !told(PROXY_OUT_V2, "").has_addresses);
    tear_down();
}

TEST(what_was_said_is_passed_on_where_we_know_no_better)
{
    static const uint8_t tls[] = {1, 0, 0, 0, 0};
    uint8_t out[PROXY_OUT_MAX_BYTES];
    struct proxy_header header = {
        .version = 2,
        .has_addresses = true,
        .source_port = 7,
        .alpn = bytes_of("h2"),
        .authority = bytes_of("theirs"),
        .unique_id = bytes_of("id"),
        .ssl = {tls, sizeof tls},
    };
    uint8_t four[4] = {203, 0, 113, 7};

    header.source = header.destination = ip_of_v4(four);
    size_t len = proxy_header_write(&header, out);
    set_up(PROXY_IN_REQUIRED, "10.0.0.1:5");
    fake_feed(FD, out, len);
    turn();
    EXPECT(is_heard() && client_is("203.0.113.7:7") && introduction_is_tls(&hearer->c));
    header = told(PROXY_OUT_V2, "");
    EXPECT(says(header.alpn, "h2") && says(header.authority, "theirs") &&
           says(header.unique_id, "id"));
    EXPECT(proxy_header_is_tls(&header));
    EXPECT(says(told(PROXY_OUT_V2, "ours").authority, "ours"));
    tear_down();
}

TEST(what_is_too_long_to_be_passed_on_is_not_kept)
{
    static uint8_t header[16 + 3 + 1000] =
        "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x00"
        "\x03\xeb\x20\x03\xe8\x01\x00\x00\x00\x00\x22\x03\xe0";

    set_up(PROXY_IN_REQUIRED, "10.0.0.1:5");
    fake_feed(FD, header, sizeof header);
    turn();
    EXPECT(is_heard() && hearer->c.introduction->header.ssl.len == 0);
    tear_down();
}
