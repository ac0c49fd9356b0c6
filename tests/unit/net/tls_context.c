#include "net/tls_context.c"

#include "tls_world.h"

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
