/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sense/logind.h"

#include <fcntl.h>
#include <string.h>

#define LOGIND_NAME      "org.freedesktop.login1"
#define LOGIND_PATH      "/org/freedesktop/login1"
#define LOGIND_INTERFACE "org.freedesktop.login1.Manager"
#define WHO              "bitsq" /* as people see it in systemd-inhibit */

/* ---- inhibitors ---- */

static void release(struct inhibitor *inhibitor)
{
    inhibitor->call = sd_bus_slot_unref(inhibitor->call);
    if (inhibitor->fd >= 0)
        (void)close(TAKE_FD(inhibitor->fd));
}

/* The message closes its descriptor with itself. A refusal stands: the machine sleeps when it likes. */
static int on_inhibited(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct inhibitor *inhibitor = userdata;
    int fd;

    (void)error;
    inhibitor->call = sd_bus_slot_unref(inhibitor->call);
    if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "h", &fd) < 0)
        return 0;
    inhibitor->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return 0;
}

/* Takes or releases it, as it is wanted now. */
static void settle(struct inhibitor *inhibitor)
{
    struct logind *logind = inhibitor->logind;

    if (!inhibitor->is_wanted || !*logind->service.owner)
        release(inhibitor);
    else if (inhibitor->fd < 0 && !inhibitor->call)
        (void)sense_call(logind->bus, &inhibitor->call, &logind->service, LOGIND_PATH, LOGIND_INTERFACE, "Inhibit",
                         on_inhibited, inhibitor, "ssss", inhibitor->what, WHO, inhibitor->why, inhibitor->mode);
}

void logind_allow_sleep(struct logind *logind)
{
    if (!logind->is_asleep)
        return;
    logind->delay.is_wanted = false;
    settle(&logind->delay);
}

void logind_hold_awake(struct logind *logind, bool held)
{
    logind->idle.is_wanted = held;
    settle(&logind->idle);
}

/* ---- sleep ---- */

static void set_asleep(struct logind *logind, bool is_asleep)
{
    if (logind->is_asleep == is_asleep)
        return;
    logind->is_asleep = is_asleep;
    if (!is_asleep) {
        /* Before anybody is told: the next sleep may be near. */
        logind->delay.is_wanted = true;
        settle(&logind->delay);
    }
    logind->sleeping(logind->userdata, is_asleep);
}

static int on_prepare(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct logind *logind = userdata;
    int is_asleep;

    (void)error;
    if (sense_service_sent(&logind->service, m) && sd_bus_message_read(m, "b", &is_asleep) >= 0)
        set_asleep(logind, is_asleep != 0);
    return 0;
}

/* Whether it was announced before we listened. */
static int on_preparing(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    struct logind *logind = userdata;
    int is_asleep;

    (void)error;
    logind->call = sd_bus_slot_unref(logind->call);
    if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "v", "b", &is_asleep) >= 0)
        set_asleep(logind, is_asleep != 0);
    return 0;
}

/* Where logind goes, nobody would tell of waking up: the machine counts as awake. */
static void on_moved(void *userdata, bool is_there)
{
    struct logind *logind = userdata;

    logind->call = sd_bus_slot_unref(logind->call);
    settle(&logind->delay);
    settle(&logind->idle);
    if (is_there)
        (void)sense_call(logind->bus, &logind->call, &logind->service, LOGIND_PATH, "org.freedesktop.DBus.Properties",
                         "Get", on_preparing, logind, "ss", LOGIND_INTERFACE, "PreparingForSleep");
    else
        set_asleep(logind, false);
}

/* ---- its life ---- */

void logind_init(struct logind *logind, void (*sleeping)(void *userdata, bool asleep), void *userdata)
{
    *logind = (struct logind){.sleeping = sleeping, .userdata = userdata};
    logind->service = (struct sense_service){.name = LOGIND_NAME, .moved = on_moved, .userdata = logind};
    logind->delay = (struct inhibitor){.logind = logind,
                                       .what = "sleep",
                                       .mode = "delay",
                                       .why = "Uploads are put down where they can go on",
                                       .is_wanted = true,
                                       .fd = -1};
    logind->idle = (struct inhibitor){
        .logind = logind, .what = "idle", .mode = "block", .why = "Files are being uploaded", .fd = -1};
}

void logind_up(struct logind *logind, sd_bus *bus)
{
    logind->bus = bus;
    (void)sd_bus_match_signal_async(bus, NULL, LOGIND_NAME, LOGIND_PATH, LOGIND_INTERFACE, "PrepareForSleep",
                                    on_prepare, NULL, logind);
    (void)sense_service_follow(bus, &logind->service);
}

void logind_down(struct logind *logind)
{
    sense_service_lost(&logind->service);
    logind->bus = NULL;
}

void logind_done(struct logind *logind)
{
    logind->call = sd_bus_slot_unref(logind->call);
    release(&logind->delay);
    release(&logind->idle);
}
