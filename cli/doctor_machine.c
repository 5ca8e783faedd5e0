/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine, and the environment of the caller. */
#include "cli/doctor.h"
#include "cli/proxy.h"

#include "base/filesystem.h"
#include "base/moment.h"
#include "base/text.h"

#include <errno.h>
#include <langinfo.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

#define SPACE_NOTE_BYTES    (UINT64_C(1) << 30)
#define SPACE_PROBLEM_BYTES (UINT64_C(256) << 20) /* the queue itself grows, and so do replies */
#define CLOCK_EARLIEST_SEC  UINT64_C(1704067200)  /* 2024-01-01: before this program was made */
#define ZONE_FOLDER         "/usr/share/zoneinfo"

/* ---- the disk ---- */

/* FOLDER, or what of it is there: the daemon makes the rest. */
static char *existing_part(const char *folder)
{
    char *path = strdup(folder), *slash;

    while (path && access(path, F_OK) < 0 && (slash = strrchr(path, '/')))
        slash[slash == path] = '\0';
    return path;
}

static void check_space(struct doctor *doctor, const struct statvfs *space)
{
    static const char remedy[] = "free some space there, or name another folder with StateDirectory= in bitsqd.conf";
    uint64_t free_bytes = (uint64_t)space->f_bavail * space->f_frsize;
    char text[SIZE_TEXT_MAX];

    (void)text_size(free_bytes, text);
    if (free_bytes < SPACE_PROBLEM_BYTES)
        doctor_add(doctor, "disk", VERDICT_PROBLEM, remedy, "only %s are free for the queue in %s", text,
                   doctor->state_directory);
    else if (free_bytes < SPACE_NOTE_BYTES)
        doctor_add(doctor, "disk", VERDICT_NOTE, remedy, "%s are free for the queue in %s, which is not much", text,
                   doctor->state_directory);
    else
        doctor_add(doctor, "disk", VERDICT_OK, "", "%s are free for the queue in %s", text, doctor->state_directory);
    /* 0 of 0 is a file system that has no such limit. */
    if (space->f_files > 0 && space->f_favail == 0)
        doctor_add(doctor, "disk", VERDICT_PROBLEM, remedy, "no new file can be made in %s: all inodes are in use",
                   doctor->state_directory);
}

void doctor_check_disk(struct doctor *doctor)
{
    _cleanup_free_ char *folder = NULL;
    struct statvfs space;
    struct statfs st;

    if (!doctor->state_directory)
        return;
    folder = existing_part(doctor->state_directory);
    if (!folder)
        return;
    if (statvfs(folder, &space) < 0 || statfs(folder, &st) < 0) {
        doctor_add(doctor, "disk", VERDICT_PROBLEM, "", "the file system of %s cannot be looked at: %s", folder,
                   strerror(errno));
        return;
    }
    check_space(doctor, &space);
    const char *network = filesystem_network_name((uint32_t)st.f_type);
    if (network)
        doctor_add(doctor, "disk", VERDICT_PROBLEM, "name a folder on a local disk with StateDirectory= in bitsqd.conf",
                   "the queue in %s is on a network file system (%s), whose locks and memory maps cannot be trusted",
                   doctor->state_directory, network);
}

/* ---- the clock ---- */

void doctor_check_clock(struct doctor *doctor)
{
    struct timex state = {.modes = 0};

    if (moment_now().realtime_usec / USEC_PER_SEC < CLOCK_EARLIEST_SEC)
        doctor_add(doctor, "clock", VERDICT_PROBLEM, "set the clock; timedatectl set-ntp true keeps it right",
                   "it is years slow: certificates are not valid yet, and times of jobs are wrong");
    else if (adjtimex(&state) == TIME_ERROR)
        doctor_add(doctor, "clock", VERDICT_NOTE, "timedatectl set-ntp true, where this machine keeps its own time",
                   "it is not known to be synchronised: where it is wrong, so are windows and the times of jobs");
    else
        doctor_add(doctor, "clock", VERDICT_OK, "", "it is synchronised");
}

/* ---- the environment ---- */

static void add_proxy(struct doctor *doctor, const struct proxy_choice *choice)
{
    if (choice->kind == PROXY_UNSUPPORTED)
        doctor_add(doctor, "proxy", VERDICT_NOTE, "name an http:// or https:// proxy with --proxy",
                   "the proxy in %s is of a kind that is not supported, and is not used", choice->variable);
    else if (choice->had_secret)
        doctor_add(doctor, "proxy", VERDICT_NOTE,
                   "bitsq credential set NAME --user USER, and bitsq add --proxy-credential NAME",
                   "the user and password of the proxy in %s are left out, as the queue keeps no secrets",
                   choice->variable);
    else
        doctor_add(doctor, "proxy", VERDICT_OK, "", "jobs that are added from here go over %s (%s)", choice->proxy,
                   choice->variable);
}

void doctor_check_proxy(struct doctor *doctor)
{
    static const char *const urls[] = {"https://", "http://"};
    const char *told = NULL;
    bool any = false;

    for (size_t i = 0; i < ELEMENTS(urls); i++) {
        struct proxy_choice choice;
        if (proxy_choose(urls[i], getenv, &choice) < 0)
            return;
        if (choice.kind != PROXY_NONE && (!told || strcmp(told, choice.variable) != 0)) {
            add_proxy(doctor, &choice);
            told = choice.variable;
            any = true;
        }
        proxy_choice_done(&choice);
    }
    if (!any)
        doctor_add(doctor, "proxy", VERDICT_OK, "", "the environment names none");
}

void doctor_check_locale(struct doctor *doctor)
{
    if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        doctor_add(doctor, "locale", VERDICT_OK, "", "its text is UTF-8");
    else
        doctor_add(doctor, "locale", VERDICT_NOTE, "LANG=C.UTF-8, or another locale of UTF-8",
                   "its text is %s: bars are plain, and names outside ASCII may look wrong", nl_langinfo(CODESET));
}

/* A rule of its own, as CET-1CEST; names of zones have no digit but where Etc/GMT+1 and the like are files. */
static bool is_known_zone(const char *zone)
{
    _cleanup_free_ char *path = NULL;

    zone += *zone == ':';
    if (*zone == '\0' || *zone == '/' || strcmp(zone, "UTC") == 0)
        return true;
    if (asprintf(&path, ZONE_FOLDER "/%s", zone) < 0 || access(path, F_OK) == 0)
        return true;
    return strpbrk(zone, "0123456789") != NULL && !strchr(zone, '/');
}

void doctor_check_timezone(struct doctor *doctor)
{
    const char *zone = getenv("TZ");

    if (zone && !is_known_zone(zone))
        doctor_add(doctor, "timezone", VERDICT_NOTE, "correct TZ, or unset it",
                   "this machine does not know the time zone in TZ (%s): windows of hours count in UTC", zone);
}
