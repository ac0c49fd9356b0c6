#include "net/tls.c"

#include "tls_world.h"

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
