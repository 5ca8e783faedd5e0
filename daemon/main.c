/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bitsqd: options, configuration, wiring. The one file that knows every layer. */
#include "config.h"
#include "senses.h"
#include "startup.h"
#include "status.h"

#include "bus/server.h"
#include "io/access.h"
#include "io/source.h"
#include "io/spawner.h"
#include "io/statedir.h"
#include "manager/log.h"
#include "manager/manager.h"
#include "net/net.h"
#include "net/url.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOBODY = 3,   /* --print-address: no daemon runs */
    EXIT_STARTING = 4, /* --print-address: one runs but cannot be reached yet */
};

#define KEEP_ALIVE_USEC   (60 * USEC_PER_SEC) /* below the two minutes that IIS keeps an idle connection */
#define STOP_TIMEOUT_TEXT "EXTEND_TIMEOUT_USEC=60000000"

static struct {
    const char *config_path;
    bool background;
    bool print_address;
    bool check;
} arguments;

struct daemon {
    struct config config;
    struct statedir *statedir;
    struct senses senses;
    struct spawner *spawner; /* NULL = helpers cannot be run */
    sd_event *event;
    struct mailbox *mailbox;
    struct io *io;
    struct net *net;
    struct store *store;
    struct manager *manager;
    struct bus_server *server;
    sd_event_source *idle_source;
    struct status status;
    bool on_demand;
    bool stopping;
    int error_fd; /* where a client that started us reads why we could not */
};

/* What ends the daemon before it runs: for whoever started it. */
static int fatal(const struct daemon *daemon, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fatal(const struct daemon *daemon, const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (daemon->error_fd >= 0)
        (void)dprintf(daemon->error_fd, "bitsqd: %s\n", text);
    log_message(LOG_ERR, MESSAGE_DAEMON_STARTED, 0, "%s", text);
    return -1;
}

static void warn_configuration(const char *text)
{
    log_message(LOG_WARNING, MESSAGE_CONFIGURATION, 0, "%s", text);
}

static const char *check_url(const char *url, char **ret_host, char **ret_name)
{
    enum url_fault fault = URL_OK;

    int r = url_check(url, ret_host, ret_name, &fault);
    if (r >= 0)
        return NULL;
    return r == -EINVAL ? url_fault_text(fault) : "memory ran out; try again later";
}

/* ---- events ---- */

/* The loop itself ends in on_turn(): its end closes the connections, and what is under way is to be answered before. */
static void stop(struct daemon *daemon)
{
    daemon->stopping = true;
    (void)sd_notify(0, "STOPPING=1\n" STOP_TIMEOUT_TEXT);
    manager_stop(daemon->manager);
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source, (void)info;
    if (daemon->stopping)
        _exit(EXIT_FAILED); /* asked twice: at once */
    stop(daemon);
    return 0;
}

static int reload(void *userdata, char **ret_message)
{
    struct daemon *daemon = userdata;
    _cleanup_(config_done) struct config config = {0};

    int r = config_load(arguments.config_path, warn_configuration, &config, ret_message);
    if (r >= 0)
        r = manager_set_hook_programs(daemon->manager, config.hook_command, config.systemctl);
    if (r >= 0)
        r = manager_set_access(daemon->manager, &config.access_rules, config.credential_directory);
    if (r < 0) {
        log_message(LOG_ERR, MESSAGE_CONFIGURATION, 0, "%s; the old configuration stays in force",
                    ret_message && *ret_message ? *ret_message : strerror(-r));
        return r;
    }
    if (strcmp(config.state_directory, daemon->config.state_directory) != 0)
        log_message(LOG_WARNING, MESSAGE_CONFIGURATION, 0, "StateDirectory= counts from the next start on");
    daemon->config.settings = config.settings;
    manager_set_settings(daemon->manager, &daemon->config.settings);
    log_message(LOG_INFO, MESSAGE_CONFIGURATION, 0, "the configuration was read again");
    return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    _cleanup_free_ char *message = NULL;

    (void)source, (void)info;
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, moment_now().monotonic_usec);
    (void)reload(userdata, &message);
    (void)sd_notify(0, "READY=1");
    return 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct daemon *daemon = userdata;

    (void)source, (void)usec;
    if (bus_server_peers(daemon->server) == 0 && manager_is_idle(daemon->manager)) {
        log_message(LOG_INFO, MESSAGE_DAEMON_STARTED, 0, "nothing to do and no client: leaving");
        stop(daemon);
        return 0;
    }
    /* The next thing that happens arms it again. */
    return 0;
}

/* Before the loop waits: after each turn in which something happened. */
static int on_turn(sd_event_source *source, void *userdata)
{
    struct daemon *daemon = userdata;
    uint64_t now;

    (void)source;
    if (manager_has_stopped(daemon->manager)) {
        (void)sd_event_exit(daemon->event, 0);
        return 0;
    }
    if (daemon->stopping)
        return 0;
    status_tell(&daemon->status);
    if (daemon->on_demand) {
        (void)sd_event_now(daemon->event, CLOCK_MONOTONIC, &now);
        (void)sd_event_source_set_time(daemon->idle_source, usec_add(now, daemon->config.settings.idle_exit_usec));
        (void)sd_event_source_set_enabled(daemon->idle_source, SD_EVENT_ONESHOT);
    }
    return 0;
}

static int add_events(struct daemon *daemon)
{
    static const int ending[] = {SIGTERM, SIGINT};
    sd_event_source *source;
    int r = 0;

    for (size_t i = 0; i < ELEMENTS(ending) && r >= 0; i++) {
        r = sd_event_add_signal(daemon->event, &source, ending[i] | SD_EVENT_SIGNAL_PROCMASK, on_terminate, daemon);
        if (r >= 0) {
            (void)sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
            (void)sd_event_source_set_floating(source, true);
            sd_event_source_unref(source);
        }
    }
    if (r >= 0)
        r = sd_event_add_signal(daemon->event, &source, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_reload, daemon);
    if (r >= 0) {
        /* A post source would do, but takes a turn of its own after each other one. */
        (void)sd_event_source_set_prepare(source, on_turn);
        (void)sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
    }
    if (r >= 0)
        r = sd_event_add_time(daemon->event, &daemon->idle_source, CLOCK_MONOTONIC, 0, USEC_PER_SEC, on_idle, daemon);
    if (r >= 0)
        r = sd_event_source_set_enabled(daemon->idle_source, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_set_watchdog(daemon->event, true);
    return r < 0 ? r : 0;
}

/* ---- start and end ---- */

static int open_store(struct daemon *daemon, struct store_report *report)
{
    struct store_options options = {
        .directory_fd = statedir_fd(daemon->statedir),
        .directory = statedir_path(daemon->statedir),
        .jobs_max = daemon->config.settings.max_jobs,
        .jobs_max_per_user = daemon->config.settings.max_jobs_per_user,
        .mailbox = daemon->mailbox,
        .now = moment_now(),
    };

    int r = store_open(&options, &daemon->store, report);
    if (r == -EPROTO)
        return fatal(daemon,
                     "the queue in %s was written by a newer bitsqd; install that version again, it was left untouched",
                     options.directory);
    if (r < 0)
        return fatal(daemon, "cannot open the queue in %s: %s%s%s; check space and permissions there",
                     options.directory, strerror(-r), report->reason[0] != '\0' ? ", " : "", report->reason);
    return 0;
}

/* Before there are threads, the store and sockets, which a child would inherit. Without it all but helpers works. */
static void start_spawner(struct daemon *daemon)
{
    int r = spawner_start(&daemon->spawner);

    if (r < 0)
        log_message(LOG_WARNING, MESSAGE_DEGRADED, 0,
                    "cannot start the process that runs helpers: %s; credentials with token_command= cannot be used, "
                    "and hooks wait for the next start",
                    strerror(-r));
}

static void on_spawner_death(void *userdata)
{
    (void)userdata;
    log_message(LOG_ERR, MESSAGE_DEGRADED, 0,
                "the process that runs helpers has died; credentials with token_command= cannot be used, and hooks "
                "wait, until bitsqd is started again");
}

static int build_io(struct daemon *daemon)
{
    int r = io_new(daemon->mailbox, IO_THREADS, &daemon->io);

    if (r < 0 || !daemon->spawner)
        return r;
    io_set_spawner(daemon->io, daemon->spawner);
    return spawner_attach(daemon->spawner, daemon->event, on_spawner_death, daemon);
}

static int build(struct daemon *daemon)
{
    struct store_report report = {0};
    struct net_options net_options = {.keep_alive_usec = KEEP_ALIVE_USEC};

    int r = sd_event_default(&daemon->event);
    if (r >= 0)
        r = add_events(daemon);
    if (r >= 0)
        r = mailbox_new(&daemon->mailbox);
    if (r < 0)
        return fatal(daemon, "cannot start: %s", strerror(-r));
    /* Before there are threads: what looks at the queue's file first is a child of this process. */
    r = open_store(daemon, &report);
    if (r < 0)
        return r;
    r = net_new(daemon->event, &net_options, &daemon->net);
    if (r >= 0)
        r = build_io(daemon);
    if (r < 0)
        return fatal(daemon, "cannot start: %s", strerror(-r));
    senses_build(&daemon->senses, daemon->event, &daemon->manager);
    struct manager_options options = {
        .event = daemon->event,
        .network = daemon->senses.network,
        .power = daemon->senses.power,
        .store = daemon->store,
        .io = daemon->io,
        .spawner = daemon->spawner,
        .mailbox = daemon->mailbox,
        .transfer_ops = &net_transfer_ops,
        .transport = daemon->net,
        .settings = daemon->config.settings,
        .store_report = &report,
        .state_directory = statedir_path(daemon->statedir),
        .check_url = check_url,
    };
    r = manager_new(&options, &daemon->manager);
    if (r >= 0)
        r = status_init(&daemon->status, daemon->event, daemon->manager);
    if (r >= 0)
        r = manager_set_access(daemon->manager, &daemon->config.access_rules, daemon->config.credential_directory);
    if (r >= 0)
        r = manager_set_hook_programs(daemon->manager, daemon->config.hook_command, daemon->config.systemctl);
    return r < 0 ? fatal(daemon, "cannot start: %s", strerror(-r)) : 0;
}

static int serve(struct daemon *daemon, char **ret_address)
{
    _cleanup_free_ char *socket_path = NULL, *address = NULL, *bus = bus_session_address();
    struct bus_server_options options = {
        .event = daemon->event,
        .manager = daemon->manager,
        .state_directory = statedir_path(daemon->statedir),
        .started_by = startup_origin(arguments.background),
        .reload = reload,
        .userdata = daemon,
    };

    int r = bus_server_new(&options, &daemon->server);
    if (r >= 0)
        r = statedir_socket_path(daemon->statedir, &socket_path);
    if (r >= 0)
        r = bus_server_listen(daemon->server, socket_path, &address);
    if (r < 0)
        return fatal(daemon, "cannot listen on the private socket: %s", strerror(-r));
    if (bus) {
        r = bus_server_join(daemon->server, bus);
        if (r < 0)
            log_message(LOG_NOTICE, MESSAGE_BUS, 0, "no session bus: %s; clients use the private socket", strerror(-r));
    }
    r = statedir_write_address(daemon->statedir, address);
    if (r < 0)
        return fatal(daemon, "cannot write the address into %s: %s; free some space there",
                     statedir_path(daemon->statedir), strerror(-r));
    *ret_address = TAKE_PTR(address);
    return 0;
}

/* Of the writer, that came when the loop had ended or never began: nobody waits for them. */
static void drop_answers(struct mailbox *mailbox)
{
    struct message_list list = TAILQ_HEAD_INITIALIZER(list);
    struct message *message;

    mailbox_take_all(mailbox, &list);
    while ((message = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, message, entry);
        command_free((struct command *)message);
    }
}

static void dismantle(struct daemon *daemon)
{
    daemon->server = bus_server_free(daemon->server);
    daemon->manager = manager_free(daemon->manager);
    senses_done(&daemon->senses);
    daemon->store = store_close(daemon->store);
    daemon->io = io_free(daemon->io);
    daemon->spawner = spawner_free(daemon->spawner);
    daemon->net = net_free(daemon->net);
    if (daemon->mailbox)
        drop_answers(daemon->mailbox);
    daemon->mailbox = mailbox_free(daemon->mailbox);
    daemon->idle_source = sd_event_source_disable_unref(daemon->idle_source);
    status_done(&daemon->status);
    daemon->event = sd_event_unref(daemon->event);
}

static int run_holder(struct daemon *daemon)
{
    _cleanup_free_ char *address = NULL;

    start_spawner(daemon);
    int r = build(daemon);
    if (r >= 0)
        r = serve(daemon, &address);
    if (r >= 0) {
        log_message(LOG_INFO, MESSAGE_DAEMON_STARTED, 0, "serving the queue in %s", statedir_path(daemon->statedir));
        if (arguments.background)
            startup_report_address(address);
        if (daemon->error_fd >= 0)
            (void)close(TAKE_FD(daemon->error_fd));
        status_tell(&daemon->status); /* before READY=1: who starts it may end it then, and has seen one */
        (void)sd_notify(0, "READY=1");
        manager_set_settings(daemon->manager, &daemon->config.settings); /* makes the first scheduling decision due */
        r = sd_event_loop(daemon->event);
    }
    dismantle(daemon);
    return r < 0 ? EXIT_FAILED : 0;
}

/* Another daemon serves this queue: it shall be found on the bus that started us, too. */
static int run_second(struct daemon *daemon, const char *address)
{
    _cleanup_free_ char *bus = bus_session_address(), *message = NULL;

    if (bus && bus_hand_over(address, bus, &message) < 0)
        log_message(LOG_WARNING, MESSAGE_BUS, 0, "the daemon that serves this queue cannot join the session bus: %s",
                    message ? message : "no answer");
    if (arguments.background)
        startup_report_address(address);
    else
        (void)fprintf(stderr, "bitsqd: another bitsqd serves the queue in %s already (%s)\n",
                      statedir_path(daemon->statedir), address);
    (void)sd_notifyf(0, "READY=1\nSTATUS=another bitsqd serves this queue at %s", address);
    return 0;
}

static int open_state(struct daemon *daemon)
{
    _cleanup_free_ char *message = NULL;

    int r = statedir_open(daemon->config.state_directory, &daemon->statedir, &message);
    if (r < 0 && !message)
        return fatal(daemon, "cannot use the state folder %s: %s", daemon->config.state_directory, strerror(-r));
    return r < 0 ? fatal(daemon, "%s", message) : 0;
}

static int begin_background(struct daemon *daemon)
{
    _cleanup_free_ char *log_path = NULL;

    daemon->error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int r = startup_detach();
    if (r < 0)
        return fatal(daemon, "cannot leave the caller's session: %s", strerror(-r));
    if (open_state(daemon) < 0)
        return -1;
    if (asprintf(&log_path, "%s/bitsqd.log", statedir_path(daemon->statedir)) < 0)
        return -ENOMEM;
    r = log_open(log_path);
    return r < 0 ? fatal(daemon, "cannot write %s: %s; check space and permissions there", log_path, strerror(-r)) : 0;
}

static int run(struct daemon *daemon)
{
    _cleanup_free_ char *address = NULL;
    enum startup_role role;

    int r = arguments.background ? begin_background(daemon) : open_state(daemon);
    if (r < 0)
        return EXIT_FAILED;
    r = startup_take_role(daemon->statedir, &role, &address);
    if (r < 0) {
        (void)fatal(daemon, "cannot take the lock of %s: %s; another bitsqd may hang, see \"bitsq daemon status\"",
                    statedir_path(daemon->statedir), strerror(-r));
        return EXIT_FAILED;
    }
    daemon->on_demand = arguments.background || strcmp(startup_origin(arguments.background), "bus") == 0;
    return role == STARTUP_HOLDER ? run_holder(daemon) : run_second(daemon, address);
}

static int print_address(struct daemon *daemon)
{
    _cleanup_free_ char *address = NULL;
    struct stat st;

    /* Asking creates nothing. */
    if (stat(daemon->config.state_directory, &st) < 0)
        return EXIT_NOBODY;
    if (open_state(daemon) < 0)
        return EXIT_FAILED;
    int r = statedir_read_address(daemon->statedir, &address);
    if (r == -ENOENT)
        return EXIT_NOBODY;
    if (r == -EAGAIN)
        return EXIT_STARTING;
    if (r < 0) {
        (void)fatal(daemon, "cannot read the daemon's address: %s", strerror(-r));
        return EXIT_FAILED;
    }
    (void)puts(address);
    return 0;
}

static void print_warning(const char *text)
{
    (void)fprintf(stderr, "bitsqd: %s\n", text);
}

/* The configuration as the next start would read it, for people and for `bitsq doctor`; nothing is opened or created.
 */
static int check_configuration(void)
{
    _cleanup_(config_done) struct config config = {0}, folder = {0};
    _cleanup_free_ char *message = NULL, *ignored = NULL;

    int r = config_load(arguments.config_path, print_warning, &config, &message);
    if (r < 0)
        (void)fprintf(stderr, "bitsqd: %s\n", message ? message : strerror(-r));
    /* Last, and also beside a bad value: whoever reads this line looks for nothing behind it. */
    if (config_load_state_directory(arguments.config_path, &folder, &ignored) >= 0)
        (void)puts(folder.state_directory);
    return r < 0 ? EXIT_FAILED : 0;
}

static void print_help(void)
{
    (void)puts("bitsqd: keeps the queue of bitsq and uploads its files in the background\n"
               "\n"
               "Usage: bitsqd [--config FILE] [--background | --print-address | --check]\n"
               "\n"
               "  --config FILE    read FILE instead of ~/.config/bitsq/bitsqd.conf\n"
               "  --background     detach; print the address of the private socket once it can be used\n"
               "  --print-address  print the address of the daemon that serves the queue;\n"
               "                   exit 3 where none runs, 4 where one is just starting\n"
               "  --check          read the configuration, print what is wrong with it (exit 1),\n"
               "                   and the state folder\n"
               "  --version, --help\n"
               "\n"
               "SIGHUP reads the configuration again, SIGTERM ends the daemon; uploads go on at the next start.\n"
               "See bitsqd(8).");
}

static int parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"background", no_argument, NULL, 'b'},
        {"print-address", no_argument, NULL, 'p'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {"check", no_argument, NULL, 'C'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (c) {
        case 'c':
            arguments.config_path = optarg;
            break;
        case 'b':
            arguments.background = true;
            break;
        case 'p':
            arguments.print_address = true;
            break;
        case 'C':
            arguments.check = true;
            break;
        case 'v':
            (void)puts("bitsqd " BITSQ_VERSION);
            return 0;
        case 'h':
            print_help();
            return 0;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "bitsqd: it takes no argument \"%s\"; see --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct daemon daemon = {.error_fd = -1};
    _cleanup_free_ char *message = NULL;

    int code = parse_arguments(argc, argv);
    if (code >= 0)
        return code;
    if (arguments.check)
        return check_configuration();
    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN);
    startup_raise_limits();
    (void)log_open(NULL);
    int r = arguments.print_address ? config_load_state_directory(arguments.config_path, &daemon.config, &message)
                                    : config_load(arguments.config_path, warn_configuration, &daemon.config, &message);
    if (r < 0) {
        (void)fprintf(stderr, "bitsqd: %s; correct it and start again\n", message ? message : strerror(-r));
        return EXIT_FAILED;
    }
    code = arguments.print_address ? print_address(&daemon) : run(&daemon);
    statedir_free(daemon.statedir);
    if (daemon.error_fd >= 0)
        (void)close(daemon.error_fd);
    config_done(&daemon.config);
    return code;
}
