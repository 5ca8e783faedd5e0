/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Refuses the N-th call of a kind, as struct fault_control says; and memory, by the site that asks for it. */
#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct fault_control *control;
static uintptr_t program_base, program_end;

/* The first object is the main program. */
static int note_program(struct dl_phdr_info *info, size_t size, void *userdata)
{
    (void)size, (void)userdata;
    program_base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && end > program_end)
            program_end = end;
    }
    return 1;
}

__attribute__((constructor(102))) static void fault_begin(void)
{
    const char *path = getenv("BITSQ_CALLS_FAULTS");

    if (!path || !preload_is_ours())
        return;
    (void)dl_iterate_phdr(note_program, NULL);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *map = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)syscall(SYS_close, fd);
    if (map == MAP_FAILED)
        abort();
    control = map;
}

bool fault_is_armed(enum fault_kind kind)
{
    return control && atomic_load(&control->kind) == kind && preload_is_ours();
}

static int count_call(void)
{
    static const struct timespec slow = {.tv_nsec = FAULT_SLOW_MSEC * 1000000};
    uint64_t number = atomic_fetch_add(&control->seen, 1) + 1;

    if (number < control->first || number > control->last)
        return 0;
    (void)atomic_fetch_add(&control->hit, 1);
    if (control->action != FAULT_SLOW)
        return (int)control->action;
    (void)nanosleep(&slow, NULL);
    return 0;
}

int fault_ask(enum fault_kind kind)
{
    return fault_is_armed(kind) ? count_call() : 0;
}

/* ---- memory ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
/* Where AddressSanitizer is loaded, memory comes from there. */
void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *old, size_t size) __attribute__((weak));

static void *get(size_t size)
{
    return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

static void *regrow(void *old, size_t size)
{
    return __interceptor_realloc ? __interceptor_realloc(old, size) : __libc_realloc(old, size);
}

static void note_site(uint64_t site)
{
    for (uint64_t i = 0; i < FAULT_SITES; i++) {
        _Atomic uint64_t *slot = &control->sites[(site * 2654435761U + i) % FAULT_SITES];
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(slot, &found, site) || found == site)
            return;
    }
    abort(); /* FAULT_SITES is too small */
}

/* Whether the program's code that goes on at CALLER is to be refused memory. */
static bool refuse(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    if (!fault_is_armed(FAULT_MEMORY) || at < program_base || at >= program_end)
        return false;
    if (control->site == 0)
        note_site(at - program_base);
    if (control->site != at - program_base || count_call() == 0)
        return false;
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t size)
{
    return refuse(CALLER) ? NULL : get(size);
}

void *calloc(size_t count, size_t size)
{
    if (refuse(CALLER))
        return NULL;
    return __interceptor_calloc ? __interceptor_calloc(count, size) : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return refuse(CALLER) ? NULL : regrow(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return refuse(CALLER) ? NULL : regrow(old, bytes);
}

char *strndup(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    char *copy = refuse(CALLER) ? NULL : get(length + 1);

    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = refuse(CALLER) ? NULL : get(size);

    if (copy)
        memcpy(copy, text, size);
    return copy;
}

__attribute__((format(printf, 2, 0))) static int print_new(char **ret, const char *format, va_list arguments)
{
    va_list again;

    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length < 0 ? NULL : get((size_t)length + 1);
    if (!text)
        return -1;
    *ret = text;
    return vsnprintf(text, (size_t)length + 1, format, arguments);
}

int vasprintf(char **ret, const char *format, va_list arguments)
{
    return refuse(CALLER) ? -1 : print_new(ret, format, arguments);
}

int asprintf(char **ret, const char *format, ...)
{
    va_list arguments;

    if (refuse(CALLER))
        return -1;
    va_start(arguments, format);
    int length = print_new(ret, format, arguments);
    va_end(arguments);
    return length;
}
