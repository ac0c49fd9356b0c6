/* What can be known of histograms and messages without a socket. */
#include "histogram.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(holds)                                                                              \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #holds);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void no_value_is_off_by_a_hundredth(void)
{
    static struct histogram h;

    for (uint64_t value = 1; value < (uint64_t)1 << 60; value += value / 3 + 1) {
        memset(&h, 0, sizeof h);
        histogram_record(&h, value - 1);
        histogram_record(&h, value);
        histogram_record(&h, value * 2);
        double said = (double)histogram_at(&h, 0.5);
        EXPECT(said > (double)value * 0.99 - 1 && said < (double)value * 1.01 + 1);
        EXPECT(h.least_nsec == value - 1 && h.most_nsec == value * 2);
    }
}

static void shares_are_found_and_histograms_add(void)
{
    static struct histogram a, b;

    for (unsigned i = 1; i <= 500; i++)
        histogram_record(&a, i);
    for (unsigned i = 501; i <= 1000; i++)
        histogram_record(&b, i);
    histogram_add(&a, &b);
    EXPECT(a.samples == 1000 && a.least_nsec == 1 && a.most_nsec == 1000);
    EXPECT(llabs((long long)histogram_at(&a, 0.5) - 500) < 5);
    EXPECT(llabs((long long)histogram_at(&a, 0.99) - 990) < 10);
    EXPECT(histogram_at(&a, 1.0) == 1000);
}

/* Writes a message out in parts of `part` bytes; returns its length. */
static size_t write_out(struct message *m, uint8_t *to, size_t part)
{
    size_t len = 0;

    while (!message_is_sent(m)) {
        struct iovec iov[MESSAGE_IOV];
        int count = message_rest(m, iov, MESSAGE_IOV);
        size_t left = part;
        for (int i = 0; i < count && left; i++) {
            size_t now = iov[i].iov_len < left ? iov[i].iov_len : left;
            memcpy(to + len, iov[i].iov_base, now);
            len += now;
            left -= now;
        }
        m->at += part - left;
    }
    return len;
}

static void check_one(const struct tables *t, uint64_t size, uint32_t sequence, size_t part)
{
    static uint8_t wire[200000];
    struct stamp stamp = {.intended_nsec = 12345, .connection = 7, .sequence = sequence};
    struct message m = {0};
    struct check c = {0};

    message_begin_ws(&m, t, size, &stamp, true);
    size_t len = write_out(&m, wire, part), head = len - size;
    EXPECT(wire[0] == 0x82 && wire[1] & 0x80);
    for (size_t i = 0; i < size; i++)
        wire[head + i] ^= wire[head - 4 + i % 4];
    for (size_t at = 0; at < size; at += part)
        EXPECT(check_take(&c, t, wire + head + at, size - at < part ? size - at : part, true));
    EXPECT(c.at == size && c.stamp.sequence == sequence && c.stamp.connection == 7);
    for (size_t i = STAMP_BYTES; i < size; i += 1 + size / 7) {
        c.at = 0;
        wire[head + i] ^= 1;
        EXPECT(!check_take(&c, t, wire + head, size, true));
        c.at = 0;
        EXPECT(check_take(&c, t, wire + head, size, false)); /* its stamp is right */
        wire[head + i] ^= 1;
    }
}

static void what_is_sent_in_parts_is_what_is_expected(void)
{
    static struct tables t;
    static const uint64_t sizes[] = {16, 17, 125, 126, 65535, 65536, 65537, 150000};
    static const size_t parts[] = {1, 7, 1000, 70000};

    tables_init(&t, 99);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
            for (uint32_t sequence = 253; sequence < 259; sequence++)
                check_one(&t, sizes[s], sequence, parts[p]);
}

int main(void)
{
    no_value_is_off_by_a_hundredth();
    shares_are_found_and_histograms_add();
    what_is_sent_in_parts_is_what_is_expected();
    return 0;
}
