/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "internal.h"

#include "base/path.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct upload {
    char *source; /* as given */
    char *url;
    bitsq_job_options *options;
};

struct bitsq_batch {
    struct upload *uploads;
    size_t count;
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
    struct upload *grown = reallocarray(batch->uploads, batch->count + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    batch->uploads = grown;
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

_public_ int bitsq_client_add_batch(bitsq_client *client, const bitsq_batch *batch, uint64_t *ret_ids)
{
    _cleanup_(sd_bus_message_unref_p) sd_bus_message *call = NULL, *reply = NULL;

    if (batch->count == 0)
        return 0;
    int r = client_manager_call(client, MANAGER_ADD_JOBS, &call);
    if (r < 0)
        return r;
    r = client_check_append(client, sd_bus_message_open_container(call, 'a', "(aysa{sv})"));
    for (size_t i = 0; r >= 0 && i < batch->count; i++) {
        const struct upload *upload = &batch->uploads[i];
        r = client_check_append(client, sd_bus_message_open_container(call, 'r', "aysa{sv}"));
        if (r >= 0)
            r = append_upload(client, call, upload->source, upload->url, upload->options);
        if (r >= 0)
            r = client_check_append(client, sd_bus_message_close_container(call));
    }
    if (r >= 0)
        r = client_check_append(client, sd_bus_message_close_container(call));
    if (r >= 0)
        r = client_check_append(client, sd_bus_message_append(call, "a{sv}", 0));
    if (r < 0 || (r = client_call(client, call, &reply)) < 0)
        return r;
    return read_ids(client, reply, batch->count, ret_ids);
}
