/* One piece of memory for all letters; the last worker that has done it frees it. */
#include "proxy/tell.h"

#include <errno.h>
#include <stdlib.h>

struct letters;

struct letter {
    struct mail mail;
    struct letters *letters;
    struct proxy *proxy;
};

struct letters {
    atomic_uint left;
    void (*run)(struct proxy *proxy);
    struct letter letter[];
};

static void on_arrival(struct mail *take_mail)
{
    struct letter *letter = container_of(take_mail, struct letter, mail);
    struct letters *letters = letter->letters;

    letters->run(letter->proxy);
    if (atomic_fetch_sub_explicit(&letters->left, 1, memory_order_acq_rel) == 1)
        free(letters);
}

int proxy_tell_all(struct proxy *const *proxies, unsigned count, void (*run)(struct proxy *proxy))
{
    struct letters *letters = malloc(sizeof *letters + count * sizeof letters->letter[0]);

    if (!letters)
        return -ENOMEM;
    atomic_init(&letters->left, count);
    letters->run = run;
    for (unsigned i = 0; i < count; i++)
        letters->letter[i] = (struct letter){{.on_arrival = on_arrival}, letters, proxies[i]};
    for (unsigned i = 0; i < count; i++) /* with the last one sent, they may be gone */
        mailbox_send(&proxies[i]->worker.mailbox, &letters->letter[i].mail);
    return 0;
}
