/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Runs WORK in a child process, which LMDB may end where a file is not what it seems: a page that was cut off is a
 * SIGBUS, a page of garbage an abort. Returns what WORK did, 0 or a negative errno; -EUCLEAN where the child died of
 * it, -EINTR where it was ended from outside. Only while no file of LMDB is open in this process.
 */
int child_run(int (*work)(void *userdata), void *userdata);
