/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon, its queue, and what keeps it alive. Nothing here starts one. */
#include "cli/doctor.h"
#include "cli/program.h"

#include "base/moment.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SYSTEMD_FOLDER       "/run/systemd/system" /* there where systemd runs the machine */
#define LINGER_FOLDER        "/var/lib/systemd/linger"
#define SYSTEMCTL_TIMEOUT_US (5 * USEC_PER_SEC)

static bool is_systemd_here(void)
{
    return access(SYSTEMD_FOLDER, F_OK) == 0;
}

/* ---- the daemon ---- */

static void add_unreachable(struct doctor *doctor)
{
    static const char nobody[] = "no daemon is running";
    const char *message = bitsq_client_get_error_message(doctor->cli->client);

    if (strncmp(message, nobody, strlen(nobody)) == 0)
        doctor_add(doctor, "daemon", VERDICT_NOTE, "bitsq daemon start",
                   "none runs: what is queued waits until the next command starts one");
    else
        doctor_add(doctor, "daemon", VERDICT_PROBLEM, "", "it cannot be reached: %s", message);
}

void doctor_check_daemon(struct doctor *doctor)
{
    bitsq_client *client = doctor->cli->client;

    if (bitsq_client_connect(client, BITSQ_CONNECT_NO_START | BITSQ_CONNECT_ANY_VERSION) < 0) {
        add_unreachable(doctor);
        return;
    }
    if (bitsq_client_get_daemon(client, &doctor->daemon) < 0) {
        doctor_add(doctor, "daemon", VERDICT_PROBLEM, "bitsq daemon restart", "it does not answer: %s",
                   bitsq_client_get_error_message(client));
        return;
    }
    doctor->state_directory = bitsq_daemon_get_state_directory(doctor->daemon);
    const char *version = bitsq_daemon_get_version(doctor->daemon);
    if (strcmp(version, bitsq_version()) != 0)
        doctor_add(doctor, "daemon", VERDICT_PROBLEM, "bitsq daemon restart",
                   "version %s runs, and this command is of version %s, which does not speak with it", version,
                   bitsq_version());
    else
        doctor_add(doctor, "daemon", VERDICT_OK, "", "version %s runs, process %d, started by %s", version,
                   bitsq_daemon_get_pid(doctor->daemon), bitsq_daemon_get_started_by(doctor->daemon));
}

void doctor_check_configuration(struct doctor *doctor)
{
    const char *warning;

    if (bitsq_client_check_configuration(doctor->cli->client, &doctor->configuration) < 0) {
        doctor_add(doctor, "configuration", VERDICT_PROBLEM, "", "%s",
                   bitsq_client_get_error_message(doctor->cli->client));
        return;
    }
    const char *error = bitsq_configuration_get_error(doctor->configuration);
    if (*error != '\0')
        doctor_add(doctor, "configuration", VERDICT_PROBLEM, "correct it; bitsqd --check reads it again",
                   doctor->daemon ? "%s; the daemon goes on with the old one, but would not start again"
                                  : "%s; no daemon starts with it",
                   error);
    for (size_t i = 0; (warning = bitsq_configuration_get_warning(doctor->configuration, i)); i++)
        doctor_add(doctor, "configuration", VERDICT_NOTE, "correct it; bitsqd --check reads it again", "%s", warning);
    if (*error == '\0' && !bitsq_configuration_get_warning(doctor->configuration, 0))
        doctor_add(doctor, "configuration", VERDICT_OK, "", "it can be read");
    const char *folder = bitsq_configuration_get_state_directory(doctor->configuration);
    if (!doctor->state_directory && *folder != '\0')
        doctor->state_directory = folder;
}

/* ---- the queue ---- */

/* The daemon has the ids and the place of them in a sentence of its own. */
static bool is_about_quarantine(const struct doctor *doctor, const char *sentence)
{
    return bitsq_daemon_get_quarantined(doctor->daemon) > 0 && strstr(sentence, "in quarantine");
}

void doctor_check_queue(struct doctor *doctor)
{
    const char *sentence;
    size_t i = 0;

    if (!doctor->daemon)
        return;
    for (; (sentence = bitsq_daemon_get_degraded(doctor->daemon, i)); i++) {
        if (is_about_quarantine(doctor, sentence))
            doctor_add(doctor, "quarantine", VERDICT_PROBLEM,
                       "bitsq doctor --drop-quarantine, which keeps a copy of them", "%" PRIu64 " record%s: %s",
                       bitsq_daemon_get_quarantined(doctor->daemon),
                       bitsq_daemon_get_quarantined(doctor->daemon) == 1 ? "" : "s", sentence);
        else
            doctor_add(doctor, "queue", VERDICT_PROBLEM, "", "%s", sentence);
    }
    if (i == 0)
        doctor_add(doctor, "queue", VERDICT_OK, "", "it can be read and written, in %s", doctor->state_directory);
}

/* ---- what keeps it alive ---- */

/* Whether somebody listens at PATH, which is at most as long as an address takes. */
static bool listens(const char *path, bool is_abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strcspn(path, ",;"), offset = is_abstract ? 1 : 0;

    if (length + offset >= sizeof(address.sun_path))
        return false;
    memcpy(address.sun_path + offset, path, length);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + offset + length + !is_abstract);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, size) == 0;
}

static bool has_session_bus(void)
{
    const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *runtime = getenv("XDG_RUNTIME_DIR");
    _cleanup_free_ char *path = NULL;

    if (address && strncmp(address, "unix:path=", strlen("unix:path=")) == 0)
        return listens(address + strlen("unix:path="), false);
    if (address && strncmp(address, "unix:abstract=", strlen("unix:abstract=")) == 0)
        return listens(address + strlen("unix:abstract="), true);
    if (address && *address != '\0')
        return true; /* of a kind that takes more than this to try */
    if (!runtime || asprintf(&path, "%s/bus", runtime) < 0)
        return false;
    return listens(path, false);
}

void doctor_check_bus(struct doctor *doctor)
{
    if (has_session_bus())
        doctor_add(doctor, "bus", VERDICT_OK, "", "there is a session bus, where programs find the queue");
    else
        doctor_add(
            doctor, "bus", VERDICT_NOTE, "",
            "there is no session bus: bitsq and libbitsq use the private socket, and other programs see no queue");
}

void doctor_check_start(struct doctor *doctor)
{
    static const char *const question[] = {"systemctl", "--user", "is-enabled", "bitsqd.service", NULL};
    char answer[PROGRAM_LINE_MAX];

    if (!is_systemd_here()) {
        doctor_add(doctor, "start", VERDICT_NOTE, "",
                   "no systemd runs this machine: after a reboot, the next bitsq command starts the daemon, or `bitsq "
                   "daemon start`");
        return;
    }
    int r = program_first_line(question, SYSTEMCTL_TIMEOUT_US, answer);
    if (r == 0 && strncmp(answer, "enabled", strlen("enabled")) == 0)
        doctor_add(doctor, "start", VERDICT_OK, "", "systemd starts the daemon (bitsqd.service is enabled)");
    else if (r == 0 && *answer != '\0')
        doctor_add(doctor, "start", VERDICT_NOTE, "systemctl --user enable bitsqd",
                   "after a reboot, uploads wait for the next bitsq command: bitsqd.service is %s", answer);
    else
        doctor_add(doctor, "start", VERDICT_NOTE, "loginctl enable-linger, then systemctl --user enable bitsqd",
                   "systemd's user manager does not say whether bitsqd.service is enabled%s%s", r < 0 ? ": " : "",
                   r < 0 ? strerror(-r) : "");
}

void doctor_check_linger(struct doctor *doctor)
{
    _cleanup_free_ char *path = NULL;
    const struct passwd *user = getpwuid(geteuid());

    if (!is_systemd_here() || !user || asprintf(&path, LINGER_FOLDER "/%s", user->pw_name) < 0)
        return;
    if (access(path, F_OK) == 0)
        doctor_add(doctor, "linger", VERDICT_OK, "", "uploads go on when %s logs out", user->pw_name);
    else
        doctor_add(doctor, "linger", VERDICT_NOTE, "loginctl enable-linger",
                   "uploads may end when %s logs out, and begin with the next login", user->pw_name);
}

/* ---- the network ---- */

/* As the daemon sees it, whose jobs it concerns. */
void doctor_check_network(struct doctor *doctor)
{
    static const char sign_in[] = "sign in with a browser; jobs go on by themselves";

    if (!doctor->daemon)
        return;
    const char *device = bitsq_daemon_get_network_device(doctor->daemon);
    const char *reach = bitsq_daemon_get_connectivity(doctor->daemon);
    if (!bitsq_daemon_is_connected(doctor->daemon))
        doctor_add(doctor, "network", VERDICT_PROBLEM, "connect this machine to a network; jobs go on by themselves",
                   "there is no way out of this machine: jobs wait, but for servers on it");
    else if (strcmp(reach, "portal") == 0)
        doctor_add(doctor, "network", VERDICT_PROBLEM, sign_in, "%s asks for a sign-in first: jobs wait", device);
    else if (strcmp(reach, "none") == 0)
        doctor_add(doctor, "network", VERDICT_PROBLEM, "look at the router, or its line",
                   "%s leads nowhere, as NetworkManager says: jobs wait", device);
    else if (strcmp(bitsq_daemon_get_metered(doctor->daemon), "yes") == 0)
        doctor_add(doctor, "network", VERDICT_NOTE, "", "%s is metered: jobs with network=unmetered wait", device);
    else if (strcmp(reach, "full") == 0)
        doctor_add(doctor, "network", VERDICT_OK, "", "%s reaches the internet, as NetworkManager says", device);
    else
        doctor_add(doctor, "network", VERDICT_OK, "",
                   "there is a way out%s%s; what it reaches, and whether it is metered, nobody says here",
                   *device == '\0' ? "" : " over ", device);
}
