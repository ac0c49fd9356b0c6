#include "net/tls.c"

#include "tls_client.h"

#define BIG_BYTES 300000u

static struct tls_worker *worker;
static struct tls_tickets tickets;
static struct tls_context *context;
static uint8_t sent_bytes[BIG_BYTES], got_bytes[BIG_BYTES + 1];

static struct tls_context *context_of(struct tls_worker *of,
                                      const struct tls_certificate *certificates, size_t count)
{
    struct tls_context *made = NULL;
    char words[256] = "";
    size_t which;

    EXPECT(tls_context_new(of, certificates, count, &tickets, &made, &which, words) == 0);
    return made;
}

static void begin(void)
{
    struct identity identity = identity_new("DNS:a.example", NULL);
    uint32_t x = 1;

    parent_begin();
    EXPECT(tls_worker_new(&worker) == 0);
    EXPECT(tls_tickets_make(&tickets) == 0);
    context = context_of(worker, &identity.pem, 1);
    identity_free(&identity);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        x = x * 1664525u + 1013904223u;
        sent_bytes[i] = (uint8_t)(x >> 24);
    }
}

static void end(void)
{
    context = tls_context_unref(context);
    worker = tls_worker_free(worker);
    SSL_SESSION_free(ticket);
    ticket = NULL;
    parent_end();
}

/* Reads while the source says so, `most` bytes at a time: what the stream's promise allows. The
 * last result. */
static ssize_t read_what_is_told(size_t most, size_t *got)
{
    ssize_t result = -EAGAIN;

    EXPECT(loop_look(&parent_worker.runner.loop) == 0);
    while (stream.source.ready & READABLE && *got <= BIG_BYTES) {
        size_t left = sizeof got_bytes - *got;
        result = stream_read(&stream, got_bytes + *got, most < left ? most : left);
        if (result <= 0 && result != -EAGAIN)
            return result;
        if (result > 0)
            *got += (size_t)result;
    }
    return result;
}

static void client_writes(const void *at, size_t len)
{
    EXPECT(SSL_write(client, at, (int)len) == (int)len);
}

static bool client_reads(const char *text)
{
    char at[256];
    int got;

    carry_to_client();
    got = SSL_read(client, at, sizeof at);
    return got == (int)strlen(text) && memcmp(at, text, (size_t)got) == 0;
}

static bool server_reads(const char *text)
{
    size_t got = 0;

    carry_to_server();
    read_what_is_told(sizeof got_bytes, &got);
    return got == strlen(text) && memcmp(got_bytes, text, got) == 0;
}

/* --- handshakes
 * -------------------------------------------------------------------------------------- */

TEST(both_versions_shake_hands_and_speak)
{
    begin();
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        connect_to(context, version);
        EXPECT(strcmp(stream_tls_version(&stream),
                      version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2") == 0);
        EXPECT(strstr(SSL_get_cipher(client),
                      version == TLS1_3_VERSION ? "AES_128_GCM" : "AES128-GCM"));
        client_writes("hello", 5);
        EXPECT(server_reads("hello"));
        EXPECT(stream_write(&stream, bytes_of("and you")) == 7 && client_reads("and you"));
        connection_end();
    }
    end();
}

TEST(older_versions_are_refused)
{
    begin();
    connection_begin(context, TLS1_1_VERSION);
    SSL_set_security_level(client, 0);
    SSL_set_cipher_list(client, "ALL");
    shake_hands();
    EXPECT(flow_is_over(&accept_flow.flow) && accept_flow.flow.reason == REASON_TLS_FAILED);
    EXPECT(!stream.tls);
    connection_end();
    end();
}

TEST(a_handshake_arrives_in_pieces_and_leaves_in_pieces)
{
    static const size_t sizes[] = {1, 2, 3, 5, 7, 64, 1000};

    begin();
    for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
        connection_begin(context, i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
        cut = sizes[i / 2];
        room = sizes[ARRAY_LEN(sizes) - 1 - i / 2];
        fake_fd[FD].out_room = room;
        shake_hands();
        EXPECT(has_shaken());
        client_writes("hello", 5);
        cut = SIZE_MAX;
        EXPECT(server_reads("hello"));
        connection_end();
    }
    end();
}

TEST(data_behind_the_finished_message_needs_no_edge_of_its_own)
{
    begin();
    connection_begin(context, TLS1_3_VERSION);
    while (SSL_do_handshake(client) != 1) {
        carry_to_server();
        parent_turn();
        carry_to_client();
    }
    client_writes("early bird", 10); /* with Finished, in one segment */
    carry_to_server();
    parent_turn();
    EXPECT(has_shaken());
    stream.source.on_ready = NULL;
    EXPECT(fake_fd[FD].in_len == 0 && stream.source.ready & READABLE);
    EXPECT(server_reads("early bird"));
    connection_end();
    end();
}

TEST(plain_http_fails_cleanly)
{
    begin();
    connection_begin(context, TLS1_3_VERSION);
    fake_input(FD, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    parent_turn();
    EXPECT(flow_is_over(&accept_flow.flow) && accept_flow.flow.reason == REASON_TLS_FAILED);
    connection_end();
    end();
}

TEST(a_client_that_leaves_in_the_middle_is_no_failure_of_tls)
{
    begin();
    connection_begin(context, TLS1_3_VERSION);
    SSL_do_handshake(client);
    cut = 100;
    carry_to_server();
    fake_fd[FD].in_ends = true;
    fake_event(FD, EPOLLIN | EPOLLRDHUP);
    parent_turn();
    EXPECT(flow_is_over(&accept_flow.flow) && accept_flow.flow.reason == REASON_CLIENT_LEFT);
    connection_end();
    end();
}

TEST(a_trickling_client_does_not_move_the_limit)
{
    begin();
    connection_begin(context, TLS1_3_VERSION);
    SSL_do_handshake(client);
    cut = 1;
    for (int i = 0; i < 9; i++) {
        carry_to_server();
        fake_now_usec += 1000000;
        parent_turn();
        EXPECT(!flow_is_over(&accept_flow.flow));
    }
    carry_to_server();
    fake_now_usec += 1100000;
    parent_turn();
    EXPECT(flow_is_over(&accept_flow.flow) && accept_flow.flow.reason == REASON_TLS_TOO_SLOW);
    connection_end();
    end();
}

TEST(a_reload_in_the_middle_of_a_handshake_harms_no_one)
{
    begin();
    connection_begin(context, TLS1_3_VERSION);
    SSL_set_tlsext_host_name(client, "a.example");
    context = tls_context_unref(context);
    shake_hands();
    EXPECT(has_shaken());
    connection_end();
    end();
}

static bool negotiates(const char *offer, unsigned len, const char *protocol)
{
    const uint8_t *at;
    unsigned got;

    connection_begin(context, TLS1_3_VERSION);
    SSL_set_alpn_protos(client, (const uint8_t *)offer, len);
    shake_hands();
    SSL_get0_alpn_selected(client, &at, &got);
    bool is_so = has_shaken() && got == strlen(protocol) && memcmp(at, protocol, got) == 0;
    connection_end();
    return is_so;
}

TEST(http_1_1_is_chosen_when_it_is_offered)
{
    begin();
    EXPECT(negotiates("\x08http/1.1", 9, "http/1.1"));
    EXPECT(negotiates("\x02h2\x08http/1.1", 12, "http/1.1"));
    EXPECT(negotiates("\x02h2", 3, ""));
    EXPECT(negotiates("\x08http/1.0", 9, ""));
    end();
}

/* --- certificates
 * ------------------------------------------------------------------------------------ */

static bool is_served(struct tls_context *by, const char *asked, const char *names)
{
    char organization[64] = "";

    connection_begin(by, TLS1_3_VERSION);
    if (asked)
        SSL_set_tlsext_host_name(client, asked);
    shake_hands();
    X509 *got = SSL_get1_peer_certificate(client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(got), NID_organizationName, organization,
                              sizeof organization);
    X509_free(got);
    bool is_so = has_shaken() && strcmp(organization, names) == 0 &&
                 strcmp(stream_tls_name(&stream), asked ? asked : "") == 0;
    connection_end();
    return is_so;
}

TEST(the_name_chooses_the_certificate)
{
    struct identity identity[2] = {identity_new("DNS:a.example", NULL),
                                   identity_new("DNS:*.b.example,DNS:c.example", NULL)};

    begin();
    struct tls_context *two =
        context_of(worker, (struct tls_certificate[]){identity[0].pem, identity[1].pem}, 2);
    EXPECT(is_served(two, NULL, "DNS:a.example"));
    EXPECT(is_served(two, "a.example", "DNS:a.example"));
    EXPECT(is_served(two, "c.example", "DNS:*.b.example,DNS:c.example"));
    EXPECT(is_served(two, "x.b.example", "DNS:*.b.example,DNS:c.example"));
    EXPECT(is_served(two, "X.B.Example", "DNS:*.b.example,DNS:c.example"));
    EXPECT(is_served(two, "b.example", "DNS:a.example"));
    EXPECT(is_served(two, "x.y.b.example", "DNS:a.example"));
    EXPECT(is_served(two, "elsewhere.example", "DNS:a.example"));
    tls_context_unref(two);
    end();
    identity_free(&identity[0]);
    identity_free(&identity[1]);
}

static struct bytes joined(struct bytes a, struct bytes b)
{
    uint8_t *at = malloc(a.len + b.len);

    EXPECT(at != NULL);
    memcpy(at, a.at, a.len);
    memcpy(at + a.len, b.at, b.len);
    return (struct bytes){at, a.len + b.len};
}

/* A good certificate and then this one: what is said of it? */
static bool is_refused(struct bytes certificate, struct bytes key, const char *because)
{
    struct identity good = identity_new("DNS:good.example", NULL);
    struct tls_certificate both[] = {good.pem, {certificate, key}};
    struct tls_context *made = NULL;
    char words[256] = "";
    size_t which = 99;

    bool is_so = tls_context_new(worker, both, 2, &tickets, &made, &which, words) == -EINVAL &&
                 !made && which == 1 && strstr(words, because) != NULL;
    if (!is_so)
        print_error("said of it: %s\n", words);
    identity_free(&good);
    return is_so;
}

TEST(what_is_wrong_with_a_certificate_is_said_in_words)
{
    struct identity a = identity_new("DNS:a.example", NULL),
                    b = identity_new("DNS:b.example", NULL);
    struct identity locked = identity_new("DNS:a.example", "secret");
    struct bytes damaged = joined(a.pem.certificate, (struct bytes){0});

    begin();
    ((uint8_t *)(uintptr_t)damaged.at)[damaged.len / 2] = '!';
    struct bytes damaged_chain = joined(a.pem.certificate, damaged);
    EXPECT(is_refused(bytes_of("nothing"), a.pem.key, "holds no PEM certificate"));
    EXPECT(is_refused((struct bytes){0}, a.pem.key, "holds no PEM certificate"));
    EXPECT(is_refused(damaged, a.pem.key, "the certificate is damaged"));
    EXPECT(is_refused(damaged_chain, a.pem.key, "of the chain is damaged"));
    EXPECT(is_refused(bytes_slice(a.pem.certificate, 0, a.pem.certificate.len - 30), a.pem.key,
                      "is damaged"));
    EXPECT(is_refused(a.pem.certificate, (struct bytes){0}, "holds no PEM private key"));
    EXPECT(is_refused(a.pem.certificate, a.pem.certificate, "holds no PEM private key"));
    EXPECT(is_refused(a.pem.certificate, locked.pem.key, "encrypted"));
    EXPECT(is_refused(a.pem.certificate, b.pem.key, "does not belong"));
    free((void *)(uintptr_t)damaged.at);
    free((void *)(uintptr_t)damaged_chain.at);
    end();
    identity_free(&a);
    identity_free(&b);
    identity_free(&locked);
}

TEST(a_chain_is_sent_whole)
{
    struct identity a = identity_new("DNS:a.example", NULL),
                    b = identity_new("DNS:b.example", NULL);
    struct bytes chain = joined(a.pem.certificate, b.pem.certificate);

    begin();
    struct tls_context *chained =
        context_of(worker, &(struct tls_certificate){chain, a.pem.key}, 1);
    connect_to(chained, TLS1_3_VERSION);
    EXPECT(sk_X509_num(SSL_get_peer_cert_chain(client)) == 2);
    connection_end();
    tls_context_unref(chained);
    end();
    free((void *)(uintptr_t)chain.at);
    identity_free(&a);
    identity_free(&b);
}

TEST(any_worker_resumes_what_another_began)
{
    struct identity identity = identity_new("DNS:a.example", NULL);
    struct tls_worker *other;

    begin();
    EXPECT(tls_worker_new(&other) == 0);
    struct tls_context *theirs = context_of(other, &identity.pem, 1);
    tickets.key[0] ^= 1;
    struct tls_context *strange = context_of(other, &identity.pem, 1);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        connect_to(context, version);
        SSL_read(client, got_bytes, 1); /* takes the ticket */
        SSL_shutdown(client);           /* else OpenSSL's client forgets it */
        connection_end();
        SSL_SESSION *first = ticket;
        ticket = NULL;
        EXPECT(first != NULL);
        for (int i = 0; i < 2; i++) {
            connection_begin(i == 0 ? strange : theirs, version);
            SSL_SESSION *copy = SSL_SESSION_dup(first);
            SSL_set_session(client, copy);
            SSL_SESSION_free(copy);
            shake_hands();
            EXPECT(has_shaken() && SSL_session_reused(client) == (i == 1));
            client_writes("again", 5);
            EXPECT(server_reads("again"));
            connection_end();
        }
        SSL_SESSION_free(first);
    }
    tls_context_unref(theirs);
    tls_context_unref(strange);
    tls_worker_free(other);
    end();
    identity_free(&identity);
}

/* --- bytes
 * ------------------------------------------------------------------------------------------- */

TEST(much_arrives_whole_however_it_is_cut)
{
    static const struct {
        size_t cut, most;
    } rows[] = {
        {1, 262144},    {7, 100},       {100, 1},         {1000, 262144}, {5000, 4096},
        {16406, 16384}, {70000, 16384}, {131072, 262144}, {131072, 1000}, {262144, 7},
    };

    begin();
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        size_t len = rows[i / 2].cut < 10 ? 40000 : BIG_BYTES, got = 0;

        connect_to(context, i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
        client_writes(sent_bytes, len);
        cut = rows[i / 2].cut;
        while (carry_to_server())
            read_what_is_told(rows[i / 2].most, &got);
        EXPECT(got == len && memcmp(got_bytes, sent_bytes, len) == 0);
        EXPECT(buf_is_empty(&stream.tls->behind) && fake_fd[FD].in_len == 0);
        connection_end();
    }
    end();
}

TEST(no_more_is_received_than_there_is_room_for)
{
    begin();
    connect_to(context, TLS1_3_VERSION);
    client_writes(sent_bytes, 200000);
    EXPECT(carry_to_server() && loop_look(&parent_worker.runner.loop) == 0);
    for (size_t got = 0; got < 200000;) {
        ssize_t piece = stream_read(&stream, got_bytes, 2000);
        EXPECT(piece > 0);
        got += (size_t)piece;
        EXPECT(buf_bytes(&stream.tls->behind).len <= IN_LEAST_BYTES);
    }
    connection_end();
    end();
}

TEST(much_leaves_whole_however_little_the_kernel_takes)
{
    static const size_t rooms[] = {100, 1000, 16384, 16406, 20000, FAKE_BYTES};

    begin();
    for (size_t i = 0; i < 2 * ARRAY_LEN(rooms); i++) {
        size_t taken = 0, got = 0;

        connect_to(context, i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
        room = rooms[i / 2];
        fake_fd[FD].out_room = room;
        while (got < BIG_BYTES) {
            ssize_t result =
                stream_write(&stream, (struct bytes){sent_bytes + taken, BIG_BYTES - taken});
            EXPECT(result >= 0 || result == -EAGAIN);
            taken += result > 0 ? (size_t)result : 0;
            if (result == -EAGAIN || stream_has_unsent(&stream))
                EXPECT(!(stream.source.ready & WRITABLE)); /* so an edge will come */
            EXPECT(buf_bytes(&stream.tls->unsent).len <= RECORD_BYTES + 64);
            carry_to_client();
            EXPECT(loop_look(&parent_worker.runner.loop) == 0);
            for (int piece;
                 (piece = SSL_read(client, got_bytes + got, (int)(sizeof got_bytes - got))) > 0;)
                got += (size_t)piece;
        }
        EXPECT(taken == BIG_BYTES && memcmp(got_bytes, sent_bytes, BIG_BYTES) == 0);
        connection_end();
    }
    end();
}

TEST(a_rest_waits_and_nothing_overtakes_it)
{
    begin();
    connect_to(context, TLS1_3_VERSION);
    fake_fd[FD].out_room = 10;
    EXPECT(stream_write(&stream, bytes_of("first")) == 5);
    EXPECT(stream_has_unsent(&stream));
    EXPECT(stream_write(&stream, bytes_of("second")) == -EAGAIN);
    EXPECT(stream_flush(&stream) == -EAGAIN);
    carry_to_client();
    EXPECT(stream_flush(&stream) == 0 && !stream_has_unsent(&stream));
    EXPECT(stream_write(&stream, bytes_of("second")) == 6);
    EXPECT(client_reads("first") && client_reads("second"));
    connection_end();
    end();
}

TEST(a_broken_kernel_connection_breaks_reads_and_writes)
{
    begin();
    connect_to(context, TLS1_3_VERSION);
    fake_fd[FD].error = -ECONNRESET;
    EXPECT(stream_read(&stream, got_bytes, 10) == -ECONNRESET);
    fake_fd[FD].error = -EPIPE;
    EXPECT(stream_write(&stream, bytes_of("x")) == -EPIPE);
    connection_end();
    end();
}

/* --- ends
 * -------------------------------------------------------------------------------------------- */

TEST(an_end_right_behind_data_needs_no_edge_of_its_own)
{
    begin();
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        size_t got = 0;

        connect_to(context, version);
        client_writes("bye", 3);
        SSL_shutdown(client);
        carry_to_server();
        EXPECT(read_what_is_told(100, &got) == 0);
        EXPECT(got == 3 && !stream_tls_was_truncated(&stream));
        EXPECT(stream_write(&stream, bytes_of("still here")) == 10); /* half-closed: we may go on */
        EXPECT(client_reads("still here"));
        connection_end();
    }
    end();
}

TEST(an_end_without_notice_reads_as_an_end_and_is_noted)
{
    size_t got = 0;

    begin();
    connect_to(context, TLS1_3_VERSION);
    client_writes("half a sent", 11);
    carry_to_server();
    fake_fd[FD].in_ends = true;
    fake_event(FD, EPOLLIN | EPOLLRDHUP);
    EXPECT(read_what_is_told(sizeof got_bytes, &got) == 0);
    EXPECT(got == 11 && stream_tls_was_truncated(&stream));
    connection_end();
    end();
}

TEST(our_end_is_a_notice_and_then_a_fin)
{
    begin();
    connect_to(context, TLS1_3_VERSION);
    EXPECT(stream_write(&stream, bytes_of("bye")) == 3);
    stream_end(&stream);
    EXPECT(fake_fd[FD].is_ended);
    size_t len = fake_fd[FD].out_len;
    stream_close(&stream);
    EXPECT(fake_fd[FD].out_len == len); /* once is enough */
    EXPECT(client_reads("bye"));
    EXPECT(SSL_read(client, got_bytes, 1) <= 0);
    EXPECT(SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN);
    connection_end();
    end();
}

TEST(a_close_says_so_if_there_is_room)
{
    begin();
    connect_to(context, TLS1_3_VERSION);
    stream_close(&stream);
    carry_to_client();
    EXPECT(SSL_read(client, got_bytes, 1) <= 0 && SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN);
    connection_end();

    connect_to(context, TLS1_3_VERSION);
    fake_fd[FD].out_room = 0;
    stream_close(&stream);
    EXPECT(fake_fd[FD].out_len == 0 && fake_fd[FD].is_closed);
    connection_end();
    end();
}

/* Carries what the client has written, with one bit of its `last` byte but so many turned. */
static void carry_damaged(size_t last)
{
    carry_to_server();
    fake_fd[FD].in[fake_fd[FD].in_len - 1 - last] ^= 1;
}

TEST(a_damaged_record_breaks_the_stream_after_what_was_good)
{
    begin();
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        size_t got = 0;

        connect_to(context, version);
        client_writes("good", 4);
        client_writes("evil", 4);
        carry_damaged(3);
        EXPECT(read_what_is_told(100, &got) == -EPROTO && got == 4);
        EXPECT(stream_read(&stream, got_bytes, 100) == -EPROTO);
        carry_to_client();
        EXPECT(SSL_read(client, got_bytes, 1) <= 0);
        EXPECT(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
        connection_end();
    }
    end();
}

TEST(a_fatal_alert_behind_data_is_no_clean_end)
{
    size_t got = 0;

    begin();
    connect_to(context, TLS1_3_VERSION);
    client_writes("last words", 10);
    EXPECT(stream_write(&stream, bytes_of("to be damaged")) == 13);
    fake_fd[FD].out[fake_fd[FD].out_len - 1] ^= 1;
    carry_to_client();
    EXPECT(SSL_read(client, got_bytes, 1) <= 0); /* which makes it send an alert */
    carry_to_server();
    EXPECT(read_what_is_told(100, &got) == -EPROTO && got == 10);
    EXPECT(stream_read(&stream, got_bytes, 100) == -EPROTO);
    connection_end();
    end();
}

/* --- key updates
 * ------------------------------------------------------------------------------------- */

static void client_updates(unsigned times, int how)
{
    for (unsigned i = 0; i < times; i++) {
        EXPECT(SSL_key_update(client, how) == 1);
        EXPECT(SSL_do_handshake(client) == 1);
    }
}

TEST(a_key_update_is_answered_with_the_next_write)
{
    begin();
    connect_to(context, TLS1_3_VERSION);
    client_updates(1, SSL_KEY_UPDATE_REQUESTED);
    EXPECT(server_reads(""));
    client_writes("new key", 7);
    EXPECT(server_reads("new key"));
    EXPECT(stream_write(&stream, bytes_of("mine, too")) == 9 && client_reads("mine, too"));
    connection_end();
    end();
}

TEST(a_flood_of_key_updates_ends_the_connection)
{
    size_t got = 0;

    begin();
    connect_to(context, TLS1_3_VERSION);
    for (int i = 0; i < 3; i++) {
        client_updates(SILENT_MAX - 1, SSL_KEY_UPDATE_NOT_REQUESTED);
        client_writes("data", 4);
        EXPECT(server_reads("data"));
    }
    client_updates(SILENT_MAX + 1, SSL_KEY_UPDATE_NOT_REQUESTED);
    carry_to_server();
    EXPECT(read_what_is_told(100, &got) == -EPROTO);
    connection_end();

    connect_to(context, TLS1_3_VERSION); /* also when it comes drop by drop */
    for (int i = 0; i <= SILENT_MAX; i++) {
        client_updates(1, SSL_KEY_UPDATE_NOT_REQUESTED);
        carry_to_server();
        EXPECT(read_what_is_told(100, &got) == (i < SILENT_MAX ? -EAGAIN : -EPROTO));
    }
    connection_end();
    end();
}

TEST(what_a_read_answers_waits_when_the_kernel_has_no_room)
{
    size_t got = 0;

    begin();
    connect_to(context, TLS1_2_VERSION);
    fake_fd[FD].out_room = 0;
    EXPECT(SSL_renegotiate(client) == 1);
    SSL_do_handshake(client);
    carry_to_server();
    EXPECT(read_what_is_told(100, &got) == -EAGAIN && got == 0);
    EXPECT(stream_has_unsent(&stream) && !(stream.source.ready & WRITABLE));
    fake_fd[FD].out_room = FAKE_BYTES;
    EXPECT(stream_flush(&stream) == 0 && !stream_has_unsent(&stream));
    carry_to_client();
    EXPECT(SSL_do_handshake(client) != 1);
    EXPECT(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
    connection_end();
    end();
}
