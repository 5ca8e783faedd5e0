/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The certificates and keys of a job, read as PEM: TLS gets their contents, so that no handshake waits for a file. May
 * block: on pool threads only.
 */
#pragma once

#include "core/access.h"
#include "core/transfer_access.h"

/*
 * Reads what CHOICES name as cacert, cert and key_file into ACCESS. A key is the user's own secret: its file must be
 * closed to others; with no key_file it is that of the certificate. A cacert that is a folder stands for all
 * certificates in the files of it. Where the result is negative, *ret_fault is as that of secret_file_read().
 */
int pem_files_load(const struct access *choices, struct transfer_access *access, char **ret_fault);
