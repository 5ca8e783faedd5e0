/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reply.h"
#include "text.h"

#define BUCKETS 4096

struct session {
    char id[SESSION_ID_MAX + 1];
    char temporary[80]; /* below the root */
    char *target;
    uint64_t connection;
    int fd;
    int root_fd;
    struct reply *reply;  /* or NULL */
    struct session *link; /* the table's lock */
    unsigned references;  /* atomic */

    pthread_mutex_t lock; /* what follows */
    struct session_view view;
    uint64_t turn;
    uint64_t touched_usec;
    bool gone;
};

struct session_table {
    pthread_mutex_t lock;
    int root_fd;
    uint64_t timeout_usec;
    bool replies;
    struct session *buckets[BUCKETS];
};

static struct session **bucket_of(struct session_table *table, const char *id)
{
    uint32_t hash = 2166136261u;

    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619u;
    return &table->buckets[hash % BUCKETS];
}

struct session *session_unref(struct session *session)
{
    if (session == NULL || __atomic_sub_fetch(&session->references, 1, __ATOMIC_ACQ_REL) > 0)
        return NULL;
    if (session->fd >= 0)
        close(session->fd);
    reply_free(session->reply, session->root_fd);
    pthread_mutex_destroy(&session->lock);
    free(session->target);
    free(session);
    return NULL;
}

static struct session *session_ref(struct session *session)
{
    __atomic_add_fetch(&session->references, 1, __ATOMIC_ACQ_REL);
    return session;
}

/* Drops the data of a session that has just left the table, and the table's reference. */
static void session_discard(struct session_table *table, struct session *session)
{
    pthread_mutex_lock(&session->lock);
    session->gone = true;
    if (!session->view.published)
        unlinkat(table->root_fd, session->temporary, 0);
    if (session->reply != NULL)
        unlinkat(table->root_fd, session->reply->file, 0);
    pthread_mutex_unlock(&session->lock);
    session_unref(session);
}

struct session_table *session_table_new(int root_fd, uint64_t timeout_usec, bool replies)
{
    struct session_table *table;

    if (mkdirat(root_fd, PATH_SESSIONS, 0700) < 0 && errno != EEXIST)
        return NULL;
    table = calloc(1, sizeof(*table));
    if (table == NULL)
        return NULL;
    pthread_mutex_init(&table->lock, NULL);
    table->root_fd = root_fd;
    table->timeout_usec = timeout_usec;
    table->replies = replies;
    return table;
}

struct session_table *session_table_free(struct session_table *table)
{
    if (table == NULL)
        return NULL;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (table->buckets[i] != NULL) {
            struct session *session = table->buckets[i];

            table->buckets[i] = session->link;
            session_discard(table, session);
        }
    }
    unlinkat(table->root_fd, PATH_SESSIONS, AT_REMOVEDIR);
    pthread_mutex_destroy(&table->lock);
    free(table);
    return NULL;
}

/* Random bits as an id of this form; any other form is the id itself. */
static void make_id(const char *form, char ret[SESSION_ID_MAX + 1])
{
    uint32_t word[4];
    char guid[40];
    ssize_t got = getrandom(word, sizeof(word), 0);

    assert(got == sizeof(word));
    snprintf(guid, sizeof(guid), "{%08X-%04X-4%03X-%04X-%04X%08X}", word[0], word[1] >> 16, word[1] & 0xfff,
             0x8000 | (word[2] >> 18), word[2] & 0xffff, word[3]);
    if (strcmp(form, "upper") == 0)
        snprintf(ret, SESSION_ID_MAX + 1, "%s", guid);
    else if (strcmp(form, "bare") == 0)
        snprintf(ret, SESSION_ID_MAX + 1, "%.36s", guid + 1);
    else if (strcmp(form, "decimal") == 0)
        snprintf(ret, SESSION_ID_MAX + 1, "%u", word[0] >> 1);
    else if (strcmp(form, "negative") == 0)
        snprintf(ret, SESSION_ID_MAX + 1, "-%u", (word[0] >> 1) | 1);
    else if (strcmp(form, "long") == 0)
        snprintf(ret, SESSION_ID_MAX + 1, "%08x%092u", word[0], word[1]);
    else if (strcmp(form, "lower") == 0)
        for (size_t i = 0; i <= strlen(guid); i++)
            ret[i] = (char)(guid[i] >= 'A' && guid[i] <= 'F' ? guid[i] + 32 : guid[i]);
    else
        snprintf(ret, SESSION_ID_MAX + 1, "%s", form);
}

/* Takes the first session out that MATCHES asks for. The table is locked. */
static struct session *take(struct session **bucket, const char *id, uint64_t idle_since_usec)
{
    for (struct session **link = bucket; *link != NULL; link = &(*link)->link) {
        struct session *session = *link;
        uint64_t touched;

        pthread_mutex_lock(&session->lock);
        touched = session->touched_usec;
        pthread_mutex_unlock(&session->lock);
        if (id != NULL ? strcmp(session->id, id) != 0 : touched > idle_since_usec)
            continue;
        *link = session->link;
        session->link = NULL;
        return session;
    }
    return NULL;
}

static void expire(struct session_table *table, struct session **bucket)
{
    uint64_t now = clock_usec();
    struct session *session;

    if (now < table->timeout_usec)
        return;
    while ((session = take(bucket, NULL, now - table->timeout_usec)) != NULL)
        session_discard(table, session);
}

static int make_reply(struct session *session)
{
    char guid[SESSION_ID_MAX + 1];

    make_id("upper", guid);
    session->reply = reply_new(session->target, session->temporary, guid);
    return session->reply != NULL ? 0 : -ENOMEM;
}

int session_create(struct session_table *table, const char *target, const char *id_form, uint64_t connection,
                   struct session **ret)
{
    static unsigned serial;
    struct session *session = calloc(1, sizeof(*session)), *older;
    struct session **bucket;

    if (session == NULL)
        return -ENOMEM;
    make_id(id_form, session->id);
    snprintf(session->temporary, sizeof(session->temporary), PATH_SESSIONS "/%ld-%u", (long)getpid(),
             __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED));
    session->connection = connection;
    session->root_fd = table->root_fd;
    session->references = 2;
    session->touched_usec = clock_usec();
    pthread_mutex_init(&session->lock, NULL);
    session->target = strdup(target);
    session->fd = openat(table->root_fd, session->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (session->target == NULL || session->fd < 0 || (table->replies && make_reply(session) < 0)) {
        int r = session->target != NULL && session->fd < 0 ? -errno : -ENOMEM;

        session->references = 1;
        session_unref(session);
        return r;
    }
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        expire(table, &table->buckets[i]);
    bucket = bucket_of(table, session->id);
    older = take(bucket, session->id, 0);
    session->link = *bucket;
    *bucket = session;
    pthread_mutex_unlock(&table->lock);
    if (older != NULL)
        session_discard(table, older);
    *ret = session;
    return 0;
}

struct session *session_find(struct session_table *table, const char *id, const char *target)
{
    struct session **bucket = bucket_of(table, id), *found = NULL;

    pthread_mutex_lock(&table->lock);
    expire(table, bucket);
    for (struct session *session = *bucket; session != NULL; session = session->link)
        if (strcmp(session->id, id) == 0 && strcmp(session->target, target) == 0)
            found = session_ref(session);
    pthread_mutex_unlock(&table->lock);
    return found;
}

int session_open_reply(struct session_table *table, const char *path, int flags)
{
    int fd = -ENOENT;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < BUCKETS && fd == -ENOENT; i++) {
        expire(table, &table->buckets[i]);
        for (struct session *session = table->buckets[i]; session != NULL; session = session->link) {
            if (session->reply == NULL || !reply_names(session->reply, path))
                continue;
            fd = openat(table->root_fd, session->reply->file, flags | O_CLOEXEC);
            fd = fd < 0 ? -errno : fd;
            break;
        }
    }
    pthread_mutex_unlock(&table->lock);
    return fd;
}

struct reply *session_reply(const struct session *session)
{
    return session->reply;
}

const char *session_data(const struct session *session)
{
    return session->temporary;
}

const char *session_id(const struct session *session)
{
    return session->id;
}

uint64_t session_connection(const struct session *session)
{
    return session->connection;
}

struct session_view session_look(struct session *session)
{
    struct session_view view;

    pthread_mutex_lock(&session->lock);
    view = session->view;
    pthread_mutex_unlock(&session->lock);
    return view;
}

void session_delete(struct session_table *table, struct session *session)
{
    struct session **link;
    bool found = false;

    pthread_mutex_lock(&table->lock);
    for (link = bucket_of(table, session->id); *link != NULL; link = &(*link)->link) {
        if (*link != session)
            continue;
        *link = session->link;
        session->link = NULL;
        found = true;
        break;
    }
    pthread_mutex_unlock(&table->lock);
    if (found)
        session_discard(table, session);
}

void session_turn(struct session *session, uint64_t total, uint64_t *ret_turn)
{
    pthread_mutex_lock(&session->lock);
    session->view.total = total;
    session->view.total_known = true;
    *ret_turn = ++session->turn;
    pthread_mutex_unlock(&session->lock);
}

static int write_all(int fd, const char *data, size_t length, uint64_t position)
{
    while (length > 0) {
        ssize_t n = pwrite(fd, data, length, (off_t)position);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        length -= (size_t)n;
        position += (uint64_t)n;
    }
    return 0;
}

int session_write(struct session *session, uint64_t turn, uint64_t position, const void *data, size_t length,
                  bool advance)
{
    int r = -ESTALE;

    pthread_mutex_lock(&session->lock);
    if (session->turn == turn && !session->gone) {
        uint64_t end = position + length;
        uint64_t old = session->view.next > position ? session->view.next - position : 0;

        r = 0;
        session->touched_usec = clock_usec();
        if (old < length && !session->view.published) /* what is published belongs to others */
            r = write_all(session->fd, (const char *)data + old, length - old, position + old);
        if (r == 0 && advance && end > session->view.next)
            session->view.next = end;
    }
    pthread_mutex_unlock(&session->lock);
    return r;
}

int session_advance(struct session *session, uint64_t turn, uint64_t next)
{
    int r = -ESTALE;

    pthread_mutex_lock(&session->lock);
    if (session->turn == turn && !session->gone) {
        session->touched_usec = clock_usec();
        if (next > session->view.next)
            session->view.next = next;
        r = 0;
    }
    pthread_mutex_unlock(&session->lock);
    return r;
}

void session_seek(struct session *session, uint64_t next)
{
    pthread_mutex_lock(&session->lock);
    session->view.next = next;
    pthread_mutex_unlock(&session->lock);
}

void session_vanish(struct session_table *table, struct session *session)
{
    unlinkat(table->root_fd, session->temporary, 0);
}

int publish_rename(int root_fd, const char *from, const char *to, bool overwrite)
{
    if (renameat2(root_fd, from, root_fd, to, overwrite ? 0 : RENAME_NOREPLACE) < 0)
        return -errno;
    return 0;
}

int session_publish(struct session_table *table, struct session *session, bool overwrite)
{
    int r = 0;

    pthread_mutex_lock(&session->lock);
    if (session->gone)
        r = -ENOENT;
    else if (!session->view.published)
        r = publish_rename(table->root_fd, session->temporary, session->target, overwrite);
    if (r == 0)
        session->view.published = true;
    pthread_mutex_unlock(&session->lock);
    return r;
}
