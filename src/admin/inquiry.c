/* All of an inquiry but its errands' answers is touched by the asker's thread only. */
#include "admin/inquiry.h"

#include <stdlib.h>

static void inquiry_free(struct inquiry *inquiry)
{
    for (unsigned i = 0; i < inquiry->count; i++)
        json_decref(inquiry->errand[i].answer);
    call_free(inquiry->call);
    free(inquiry);
}

static void on_return(struct mail *take_mail)
{
    struct errand *errand = container_of(take_mail, struct errand, mail);
    struct inquiry *inquiry = errand->inquiry;

    errand->is_back = true;
    inquiry->left--;
    if (inquiry->left == 0 && inquiry->asker)
        flow_wake(inquiry->asker);
    else if (inquiry->left == 0)
        inquiry_free(inquiry);
}

static void on_arrival(struct mail *take_mail)
{
    struct errand *errand = container_of(take_mail, struct errand, mail);

    errand->inquiry->run(errand);
    errand->mail.on_arrival = on_return;
    mailbox_send(errand->inquiry->back, &errand->mail);
}

struct inquiry *inquiry_new(struct flow *asker, unsigned count)
{
    struct inquiry *inquiry = calloc(1, sizeof *inquiry + count * sizeof inquiry->errand[0]);

    if (!inquiry)
        return NULL;
    inquiry->asker = asker;
    inquiry->back = &worker_of(asker)->mailbox;
    inquiry->count = count;
    return inquiry;
}

void inquiry_ask(struct inquiry *inquiry, unsigned i, struct mailbox *to, void *target)
{
    inquiry->errand[i] =
        (struct errand){{.on_arrival = on_arrival}, inquiry, to, target, NULL, false};
}

void inquiry_send(struct inquiry *inquiry)
{
    inquiry->left = inquiry->count;
    for (unsigned i = 0; i < inquiry->count; i++)
        mailbox_send(inquiry->errand[i].to, &inquiry->errand[i].mail);
}

void inquiry_leave(struct inquiry *take_inquiry)
{
    if (!take_inquiry)
        return;
    take_inquiry->asker = NULL;
    if (take_inquiry->left == 0)
        inquiry_free(take_inquiry);
}
