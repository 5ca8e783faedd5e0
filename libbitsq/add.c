/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include "base/path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define PART_MAX 1000 /* uploads of one call */

struct upload {
    char *source; /* as given */
    char *url;
    bitsq_job_options *options;
};

struct bitsq_batch {
    struct upload *uploads;
    size_t count, size;
};

_public_ int bitsq_batch_new(bitsq_batch **ret_batch)
{
    _cleanup_free_ bitsq_batch *batch = calloc(1, sizeof(*batch));

    if (!batch)
        return -ENOMEM;
    *ret_batch = TAKE_PTR(batch);
    return 0;
}

static void upload_clear(struct upload *upload)
{
    free(upload->source);
    free(upload->url);
    (void)bitsq_job_options_free(upload->options);
}

_public_ bitsq_batch *bitsq_batch_free(bitsq_batch *batch)
{
    if (!batch)
        return NULL;
    for (size_t i = 0; i < batch->count; i++)
        upload_clear(&batch->uploads[i]);
    free(batch->uploads);
    free(batch);
    return NULL;
}

_public_ int bitsq_batch_append(bitsq_batch *batch, const char *source, const char *url,
                                const bitsq_job_options *options)
{
    struct upload upload = {0};

    if (batch->count >= BITSQ_BATCH_MAX)
        return -EDQUOT;
    if (batch->count == batch->size) {
        size_t size = 2 * batch->size + 16;
        struct upload *grown = reallocarray(batch->uploads, size, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        batch->uploads = grown;
        batch->size = size;
    }
    upload.source = strdup(source);
    upload.url = strdup(url);
    int r = options_copy(options, &upload.options);
    if (r < 0 || !upload.source || !upload.url) {
        upload_clear(&upload);
        return r < 0 ? r : -ENOMEM;
    }
    batch->uploads[batch->count++] = upload;
    return 0;
}

/* The part that AddJob and AddJobs share: ay s a{sv}. */
static int append_upload(bitsq_client *client, sd_bus_message *m, const char *source, const char *url,
                         const bitsq_job_options *options)
{
    _cleanup_free_ char *path = NULL;

    int r = path_make_absolute(source, &path);
    if (r == -ENOMEM)
        return client_fail_memory(client);
    if (r < 0)
        return client_fail(client, -EBADF, "SourceUnreadable", "%s cannot be found: %s; check the name", source,
                           strerror(-r));
    r = sd_bus_message_append_array(m, 'y', path, strlen(path));
    if (r >= 0)
        r = sd_bus_message_append(m, "s", url);
    if (r >= 0)
        r = options_append(options, m);
    return client_check_append(client, r);
}

_public_ int bitsq_client_add(bitsq_client *client, const char *source, const char *url,
                              const bitsq_job_options *options, uint64_t *ret_id)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;

    int r = client_manager_call(client, MANAGER_ADD_JOB, &call);
    if (r < 0 || (r = append_upload(client, call, source, url, options)) < 0 ||
        (r = client_call(client, call, &reply)) < 0)
        return r;
    return client_check_reply(client, sd_bus_message_read(reply, MANAGER_ADD_JOB_OUT, ret_id, NULL));
}

static int read_ids(bitsq_client *client, sd_bus_message *reply, size_t count, uint64_t *ret_ids)
{
    const void *ids;
    size_t size;

    int r = client_check_reply(client, sd_bus_message_read_array(reply, 't', &ids, &size));
    if (r < 0)
        return r;
    if (size != count * sizeof(*ret_ids))
        return client_check_reply(client, -EBADMSG);
    memcpy(ret_ids, ids, size);
    return 0;
}

/* More than one call takes, so that each names the batch that it is a part of; NULL = this is all. */
struct part {
    const char *token;
    size_t offset, count;
    bool more;
};

static int append_uploads(bitsq_client *client, sd_bus_message *call, const bitsq_batch *batch, const struct part *part)
{
    int r = client_check_append(client, sd_bus_message_open_container(call, 'a', "(aysa{sv})"));

    for (size_t i = 0; r >= 0 && i < part->count; i++) {
        const struct upload *upload = &batch->uploads[part->offset + i];
        r = client_check_append(client, sd_bus_message_open_container(call, 'r', "aysa{sv}"));
        if (r >= 0)
            r = append_upload(client, call, upload->source, upload->url, upload->options);
        if (r >= 0)
            r = client_check_append(client, sd_bus_message_close_container(call));
    }
    return r < 0 ? r : client_check_append(client, sd_bus_message_close_container(call));
}

static int add_part(bitsq_client *client, const bitsq_batch *batch, const struct part *part, uint64_t *ret_ids)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;

    int r = client_manager_call(client, MANAGER_ADD_JOBS, &call);
    if (r >= 0)
        r = append_uploads(client, call, batch, part);
    if (r >= 0 && part->token)
        r = client_check_append(client, sd_bus_message_append(call, "a{sv}", 3, "batch", "s", part->token, "offset",
                                                              "t", (uint64_t)part->offset, "more", "b", part->more));
    else if (r >= 0)
        r = client_check_append(client, sd_bus_message_append(call, "a{sv}", 0));
    if (r < 0 || (r = client_call(client, call, &reply)) < 0)
        return r;
    return read_ids(client, reply, part->count, ret_ids + part->offset);
}

#define TOKEN_BYTES 16

static int make_token(bitsq_client *client, char token[static 2 * TOKEN_BYTES + 1])
{
    uint8_t random[TOKEN_BYTES];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return client_fail(client, -errno, "Failed", "the system gives no random numbers: %s", strerror(errno));
    for (size_t i = 0; i < TOKEN_BYTES; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", random[i]);
    return 0;
}

_public_ int bitsq_client_add_batch(bitsq_client *client, const bitsq_batch *batch, uint64_t *ret_ids)
{
    char token[2 * TOKEN_BYTES + 1];
    struct part part = {.token = NULL, .more = true};
    int r = 0;

    if (batch->count > PART_MAX) {
        r = make_token(client, token);
        part.token = token;
    }
    for (; r >= 0 && part.offset < batch->count; part.offset += part.count) {
        size_t left = batch->count - part.offset;
        part.count = left < PART_MAX ? left : PART_MAX;
        part.more = left > PART_MAX;
        r = add_part(client, batch, &part, ret_ids);
    }
    return r < 0 ? r : 0;
}
