/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/log.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define LOG_LINE_MAX 2048
#define LOG_FILE_BYTES \
    ((off_t)1024 * 1024) /* then the file is renamed to .1, so that two of these are the most there is */

/* The one thing of a process that is global by nature: where its standard error leads. */
static struct {
    bool to_journal;
    char path[PATH_MAX];
    off_t written;
} sink;

/* $JOURNAL_STREAM names the device and inode of the stream that the journal gave this process as standard error. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char expected[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    (void)snprintf(expected, sizeof(expected), "%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
    return strcmp(stream, expected) == 0;
}

/* Standard output and error lead into the file from here on, so that a failed assertion is found there too. */
static int open_file(void)
{
    struct stat st;
    _cleanup_close_ int fd = open(sink.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    if (dup2(fd, STDERR_FILENO) < 0 || fstat(fd, &st) < 0)
        return -errno;
    sink.written = st.st_size;
    return 0;
}

static void rotate(void)
{
    char old[PATH_MAX + 2];

    (void)snprintf(old, sizeof(old), "%s.1", sink.path);
    if (rename(sink.path, old) == 0)
        (void)open_file();
}

int log_open(const char *path)
{
    sink.to_journal = !path && stderr_is_journal();
    sink.path[0] = '\0';
    if (!path)
        return 0;
    if (strlen(path) >= sizeof(sink.path))
        return -ENAMETOOLONG;
    memcpy(sink.path, path, strlen(path) + 1);
    return open_file();
}

static void write_line(int priority, uint64_t job, const char *text)
{
    char stamp[32] = "", about[48] = "";
    time_t now = time(NULL);
    struct tm tm;

    if (sink.path[0] != '\0' && gmtime_r(&now, &tm))
        (void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ ", &tm);
    if (job != 0)
        (void)snprintf(about, sizeof(about), "job %" PRIu64 ": ", job);
    /* The <N> prefix tells a service manager that reads this stream how grave the line is. */
    if (sink.path[0] == '\0' && getenv("INVOCATION_ID"))
        (void)snprintf(stamp, sizeof(stamp), "<%d>", priority);
    int n = fprintf(stderr, "%s%s%s%s\n", stamp, priority <= LOG_WARNING ? "warning: " : "", about, text);
    if (n > 0 && sink.path[0] != '\0') {
        sink.written += n;
        if (sink.written >= LOG_FILE_BYTES)
            rotate();
    }
}

void log_message(int priority, const char *message_id, uint64_t job, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!sink.to_journal) {
        write_line(priority, job, text);
        return;
    }
    if (job != 0)
        (void)sd_journal_send("PRIORITY=%d", priority, "MESSAGE_ID=%s", message_id, "BITSQ_JOB=%" PRIu64, job,
                              "MESSAGE=job %" PRIu64 ": %s", job, text, NULL);
    else
        (void)sd_journal_send("PRIORITY=%d", priority, "MESSAGE_ID=%s", message_id, "MESSAGE=%s", text, NULL);
}
