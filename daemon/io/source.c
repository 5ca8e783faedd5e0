/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open source file, and the ring of chunks that are read ahead of whoever takes them.
 *
 *   window   |........|ccccccc|rrrr|..............|        c  in the ring      r  being read
 *            0   next_copy  next_read           length
 *
 * At most one call of a source is in the pool at a time, so that a file on a slow file system takes one thread. While
 * it runs, the descriptor and the chunk that is being filled are the thread's.
 *
 * What somebody keeps in memory needs neither thread nor ring: it is read on the loop, straight into the buffer of
 * whoever takes it, up to the first byte that would have to be waited for. From there on it goes on as any other. In
 * the same way, a look at an open file on a local file system needs a thread only where its path is not in memory.
 */
#include "io/source.h"

#include "core/limits.h"
#include "io/file.h"
#include "io/internal.h"
#include "io/mountpoint.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum source_call {
    SOURCE_CALL_CHECK,
    SOURCE_CALL_READ,
    SOURCE_CALL_CLOSE,
};

struct source_chunk {
    unsigned char *buffer; /* kept; no longer than a read has needed, as most files are small */
    size_t size;
    size_t bytes;
    size_t taken;
};

struct source {
    struct pool_job job;
    struct io *io; /* not used by the thread: it may be gone by then */
    char *path;
    char *mount; /* where its file system is mounted; NULL = it cannot go */
    uint8_t boot_id[16];
    bool freed;                     /* by its owner; what remains goes when the call returns */
    LIST_ENTRY(source) left_behind; /* until then, where a thread is in it */

    /* The call in the pool. */
    bool busy;
    enum source_call call;
    int result;
    uint64_t read_offset; /* in the file */
    size_t read_bytes;
    struct source_chunk *read_chunk;
    uint64_t read_generation;
    uint64_t read_window_end; /* of the window that it belongs to */

    /* The open file: of the thread while busy. */
    int fd;
    bool is_local;     /* looks at it wait for nothing */
    bool drops_pages;  /* those of the window were not in memory before */
    uint64_t ours_end; /* up to here they may be there because of this source */
    struct source_identity identity;

    void (*check_done)(void *userdata, int result, const struct source_identity *identity);
    void *check_userdata;

    /* The window. */
    void (*ready)(void *userdata);
    void *ready_userdata;
    uint64_t generation; /* a read of an earlier one is thrown away */
    uint64_t offset, length;
    uint64_t next_copy, next_read;
    bool is_direct;    /* what the ring does not have is read on the loop */
    bool never_direct; /* its file system cannot say what is in memory */
    bool starved;
    int error;
    struct source_chunk chunks[IO_CHUNKS_AHEAD];
    unsigned first, count;
};

/* ---- on a pool thread ---- */

static void close_file(struct source *source)
{
    if (source->fd >= 0)
        (void)close(source->fd);
    source->fd = -1;
}

static int open_file(struct source *source)
{
    int r = file_open(source->path, &source->fd);

    if (r < 0)
        return r;
    r = file_make_readable(source->fd);
    if (r >= 0)
        r = file_identify(source->fd, source->boot_id, &source->identity);
    if (r < 0) {
        close_file(source);
        return r;
    }
    source->is_local = file_is_local(source->fd);
    source->ours_end = 0;
    source->drops_pages = false;
    return 0;
}

/* Where the path names another file by now, that one is opened: what is read later is then what was compared. */
static int check_file(struct source *source)
{
    if (source->fd < 0)
        return open_file(source);
    int r = file_is_at(source->path, &source->identity);
    if (r < 0)
        return r;
    if (r > 0)
        return file_identify(source->fd, source->boot_id, &source->identity);
    close_file(source);
    return open_file(source);
}

/*
 * Each window is judged for itself, as others may use a part of a file only; but not by pages that are there because of
 * this source: those that it has read, and those that it has asked for. The kernel reads nothing else ahead.
 */
static void look_at_pages(struct source *source)
{
    uint64_t begin = source->read_offset > source->ours_end ? source->read_offset : source->ours_end;

    if (begin < source->read_window_end)
        source->drops_pages = !file_is_cached(source->fd, begin, source->read_window_end);
    /* The rest of this window is no question any more. */
    if (source->ours_end < source->read_window_end)
        source->ours_end = source->read_window_end;
}

/* Asks for this chunk and the next one, also where that is of the next window. */
static void look_ahead(struct source *source)
{
    uint64_t size = source->identity.size_bytes, end = source->read_offset + source->read_bytes + IO_CHUNK_BYTES;

    end = end < size ? end : size;
    if (end <= source->read_offset)
        return;
    file_expect(source->fd, source->read_offset, end - source->read_offset);
    if (source->ours_end < end)
        source->ours_end = end;
}

static int read_chunk(struct source *source)
{
    struct source_chunk *chunk = source->read_chunk;

    look_at_pages(source);
    look_ahead(source);
    ssize_t n = file_read(source->fd, source->read_offset, chunk->buffer, source->read_bytes);

    if (n < 0)
        return (int)n;
    chunk->bytes = (size_t)n;
    if (source->drops_pages)
        file_drop_pages(source->fd, source->read_offset, source->read_offset + (uint64_t)n);
    return chunk->bytes < source->read_bytes ? -ENODATA : 0;
}

/* A descriptor into a file system that has gone is of no use when it comes back. */
static void judge_error(struct source *source)
{
    if (!source->mount || !mountpoint_may_explain(source->result) || !mountpoint_is_gone(source->mount))
        return;
    close_file(source);
    source->result = -ENOMEDIUM;
}

static void source_run(struct pool_job *job)
{
    struct source *source = (struct source *)job;

    switch (source->call) {
    case SOURCE_CALL_CHECK:
        source->result = check_file(source);
        judge_error(source);
        break;
    case SOURCE_CALL_READ:
        source->result = read_chunk(source);
        judge_error(source);
        break;
    case SOURCE_CALL_CLOSE:
        close_file(source);
        break;
    }
}

/* ---- on the loop ---- */

static void source_destroy(struct source *source)
{
    for (size_t i = 0; i < IO_CHUNKS_AHEAD; i++)
        free(source->chunks[i].buffer);
    free(source->path);
    free(source->mount);
    free(source);
}

static void submit(struct source *source, enum source_call call)
{
    source->busy = true;
    source->call = call;
    source->job.unattended = call == SOURCE_CALL_CLOSE;
    pool_submit(source->io->pool, &source->job);
}

/* close(2) may hang as any other call; but nobody waits for it, and it is not counted as one that hangs. */
static void release(struct source *source)
{
    if (source->fd >= 0)
        submit(source, SOURCE_CALL_CLOSE);
    else
        source_destroy(source);
}

static bool make_room(struct source_chunk *chunk, size_t wanted)
{
    if (chunk->size >= wanted)
        return true;
    free(chunk->buffer); /* what it held has been taken */
    chunk->buffer = malloc(wanted);
    chunk->size = chunk->buffer ? wanted : 0;
    return chunk->buffer != NULL;
}

static void begin_read(struct source *source)
{
    struct source_chunk *chunk = &source->chunks[(source->first + source->count) % IO_CHUNKS_AHEAD];
    uint64_t left = source->length - source->next_read;

    size_t wanted = left < IO_CHUNK_BYTES ? (size_t)left : IO_CHUNK_BYTES;

    if (!make_room(chunk, wanted)) {
        source->error = -ENOMEM;
        return;
    }
    chunk->bytes = chunk->taken = 0;
    source->read_chunk = chunk;
    source->read_offset = source->offset + source->next_read;
    source->read_bytes = wanted;
    source->read_generation = source->generation;
    source->read_window_end = source->offset + source->length;
    submit(source, SOURCE_CALL_READ);
}

/* Begins the next call, if one is due. */
static void proceed(struct source *source)
{
    if (source->busy)
        return;
    if (source->check_done)
        submit(source, SOURCE_CALL_CHECK);
    else if (source->is_direct)
        return;
    else if (source->error == 0 && source->next_read < source->length && source->count < IO_CHUNKS_AHEAD)
        begin_read(source);
}

static void finish_check(struct source *source)
{
    void (*done)(void *, int, const struct source_identity *) = source->check_done;
    struct source_identity identity = source->identity;
    int result = source->result;

    source->check_done = NULL;
    proceed(source);
    done(source->check_userdata, result, &identity);
}

static void finish_read(struct source *source)
{
    bool current = source->read_generation == source->generation;

    if (current && (source->result == 0 || source->result == -ENODATA)) {
        source->count++;
        source->next_read += source->read_chunk->bytes;
    }
    if (current)
        source->error = source->result;
    if (current && source->result == 0 && source->read_offset == source->offset)
        source->is_direct = !source->drops_pages && !source->never_direct;
    proceed(source);
    if (source->error != 0 || (current && source->starved)) {
        source->starved = false;
        source->ready(source->ready_userdata);
    }
}

static void source_finish(struct pool_job *job)
{
    struct source *source = (struct source *)job;

    source->busy = false;
    if (source->freed) {
        LIST_REMOVE(source, left_behind);
        release(source);
        return;
    }
    switch (source->call) {
    case SOURCE_CALL_CHECK:
        finish_check(source);
        break;
    case SOURCE_CALL_READ:
        finish_read(source);
        break;
    case SOURCE_CALL_CLOSE:
        assert(false); /* nobody waits for it */
        break;
    }
}

/* After a close, or when io goes. A close that was never begun leaves its descriptor to the end of the process: it
 * could hang here. */
static void source_drop(struct pool_job *job)
{
    struct source *source = (struct source *)job;

    if (source->call != SOURCE_CALL_CLOSE)
        close_file(source);
    source_destroy(source);
}

int source_new(struct io *io, const char *path, const char *mount, struct source **ret)
{
    _cleanup_free_ struct source *source = calloc(1, sizeof(*source));

    if (!source)
        return -ENOMEM;
    source->path = strdup(path);
    source->mount = mount ? strdup(mount) : NULL;
    if (!source->path || (mount && !source->mount)) {
        free(source->path);
        return -ENOMEM;
    }
    source->job = (struct pool_job){.run = source_run, .finish = source_finish, .drop = source_drop};
    source->io = io;
    source->fd = -1;
    memcpy(source->boot_id, io->boot_id, sizeof(source->boot_id));
    io->sources_count++;
    *ret = TAKE_PTR(source);
    return 0;
}

struct source *source_free(struct source *source)
{
    if (!source)
        return NULL;
    source->freed = true;
    source->io->sources_count--;
    if (source->busy && pool_withdraw(source->io->pool, &source->job))
        source->busy = false;
    if (source->busy)
        LIST_INSERT_HEAD(&source->io->left_behind, source, left_behind);
    else
        release(source);
    return NULL;
}

bool source_hangs(const struct source *source)
{
    const struct source *other;

    LIST_FOREACH(other, &source->io->left_behind, left_behind)
    {
        bool is_same = source->mount && other->mount ? strcmp(source->mount, other->mount) == 0
                                                     : strcmp(source->path, other->path) == 0;
        if (is_same && pool_is_stuck(source->io->pool, &other->job))
            return true;
    }
    return false;
}

int source_check(struct source *source,
                 void (*done)(void *userdata, int result, const struct source_identity *identity), void *userdata)
{
    if (source->check_done)
        return -EBUSY;
    source->check_done = done;
    source->check_userdata = userdata;
    proceed(source);
    return 0;
}

bool source_check_now(struct source *source, struct source_identity *ret)
{
    if (source->busy || source->check_done || source->fd < 0 || !source->is_local ||
        !file_look_cached(source->path, &source->identity, ret))
        return false;
    source->identity = *ret;
    return true;
}

/* Whether somebody else keeps the window in memory. To try would bring pages in, and one could not tell any more. */
static bool begins_direct(const struct source *source)
{
    bool is_ours = source->drops_pages && source->offset < source->ours_end;

    return !source->busy && !source->never_direct && !is_ours && source->length > 0 &&
           file_is_cached_now(source->fd, source->offset, source->offset + source->length);
}

static void begin_window(struct source *source)
{
    source->generation++;
    source->next_copy = source->next_read = 0;
    source->first = source->count = 0;
    source->starved = false;
    source->error = 0;
    source->is_direct = begins_direct(source);
    proceed(source);
}

int source_window(struct source *source, uint64_t offset, uint64_t length, void (*ready)(void *userdata),
                  void *userdata)
{
    /* Without a check that went well there is no file; while a check runs, the descriptor is the thread's. */
    if (source->check_done || (!source->busy && source->fd < 0))
        return -EBADF;
    source->offset = offset;
    source->length = length;
    source->ready = ready;
    source->ready_userdata = userdata;
    begin_window(source);
    return 0;
}

/* Copies from the first chunk of the ring, and gives it back when it is empty. */
static size_t take_bytes(struct source *source, unsigned char *buffer, size_t size)
{
    struct source_chunk *chunk = &source->chunks[source->first];
    size_t bytes = chunk->bytes - chunk->taken < size ? chunk->bytes - chunk->taken : size;

    memcpy(buffer, chunk->buffer + chunk->taken, bytes);
    chunk->taken += bytes;
    if (chunk->taken == chunk->bytes) {
        source->first = (source->first + 1) % IO_CHUNKS_AHEAD;
        source->count--;
    }
    return bytes;
}

/* Behind what the ring had. Where it cannot, for whatever reason, a thread reads on, and tells. */
static size_t read_direct(struct source *source, unsigned char *buffer, size_t size)
{
    uint64_t left = source->length - source->next_read;
    ssize_t n = -EBUSY;

    if (left == 0)
        return 0;
    if (!source->busy)
        n = file_read_cached(source->fd, source->offset + source->next_read, buffer, size < left ? size : (size_t)left);
    source->never_direct |= n == -EOPNOTSUPP;
    source->is_direct = n > 0;
    source->next_read += n > 0 ? (uint64_t)n : 0;
    return n > 0 ? (size_t)n : 0;
}

ssize_t source_read(struct source *source, uint64_t offset, void *buffer, size_t size)
{
    size_t copied = 0;

    if (offset == 0 && source->next_copy != 0)
        begin_window(source);
    assert(offset == source->next_copy);
    while (copied < size && source->count > 0)
        copied += take_bytes(source, (unsigned char *)buffer + copied, size - copied);
    if (source->is_direct && copied < size)
        copied += read_direct(source, (unsigned char *)buffer + copied, size - copied);
    source->next_copy += copied;
    proceed(source);
    if (copied > 0)
        return (ssize_t)copied;
    if (source->error != 0)
        return source->error;
    source->starved = source->next_copy < source->length;
    return 0;
}
