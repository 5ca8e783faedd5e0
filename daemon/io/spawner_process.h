/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of the spawner. */
#pragma once

/* The life of the process, in the child of spawner_start(): ends when the other end of SOCKET is closed. */
_Noreturn void spawner_process(int socket);
